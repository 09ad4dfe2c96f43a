"""What schemathesis cannot know by itself: whose token a request needs, and how rows are written."""

import json
import os

import schemathesis

# By role; whoever starts the server signs in.
TOKENS = json.loads(os.environ["VEREDA_TOKENS"])


@schemathesis.auth(cache_by_key=lambda case, context: case.operation.label)
class Bearer:
    """A token of a role that may call the operation, as `x-roles` says."""

    def get(self, case, context):
        roles = context.operation.definition.raw.get("x-roles", {})
        return next((TOKENS[role] for role in sorted(roles) if role in TOKENS), None)

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.serializer("application/x-ndjson", "text/csv")
def rows(context, value):
    """Rows are described as one text."""
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else json.dumps(value)).encode(errors="replace")


@schemathesis.deserializer("application/x-ndjson")
def lines(context, response):
    """An answer of lines is described as their list."""
    return [json.loads(line) for line in response.content.splitlines()]
