-- name: transaction_begin
BEGIN

-- name: transaction_commit
COMMIT
