"""What schemathesis leaves out: it loads this file itself (SCHEMATHESIS_HOOKS)."""

import schemathesis


@schemathesis.hook  # type: ignore[untyped-decorator]  # not in this environment
def filter_case(ctx: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """No made-up `previous_response_id`: whether that response exists, no schema can say."""
    body = case.body
    return not (isinstance(body, dict) and isinstance(body.get("previous_response_id"), str))
