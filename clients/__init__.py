"""The clients of the REST API, and what writes their types: `make clients`."""
