module github.com/alwitt/httpmq-go

go 1.24
