"""Fails unless the document at the URL is a valid OpenAPI document, by OpenAPI's own schema."""

import sys

import schemathesis

schemathesis.openapi.from_url(sys.argv[1]).validate()
