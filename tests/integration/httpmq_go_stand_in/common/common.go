// Package common makes a client.
package common

import (
	"net/http"

	"github.com/alwitt/httpmq-go/api"
)

func DefineAPIClient(url string, transport *http.Client, _ *string, _ bool) (*api.APIClient, error) {
	return &api.APIClient{URL: url, HTTP: transport}, nil
}
