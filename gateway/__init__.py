"""The data plane: bytes in, bytes out. It talks HTTP to engines and never imports one.

A request, in the order in which the modules see it:

 1. server       one process, or several (workers) on one port (listening); drains on SIGTERM
 2. routes       the URL table; endpoints are the raw ASGI callables behind it, stored_responses
                 what is asked of a response later; openapi describes all of it
 3. asgi         one HTTP exchange: the body in, an answer or a stream out, the hang-up seen
 4. journey      the story of one request, told downward: read this first
 5. callers      an API key becomes a name (keys: the file they are kept in)
 6. wire         OpenAI bytes to typed values, and the splicing of what goes on to an engine:
                 chat, completions, responses, embeddings, each with its own shapes (openai_form,
                 older_logprobs, response_form, response_events: put right where an engine's differ)
 7. admission    a slot, held until the last byte left or the client hung up
 8. cascade      student, gate, teacher: who answers; verify: the teacher reads a deferred draft;
                 takeover: it goes on where confidence falls after the commit
 9. upstream     one backend: call says what is asked of it, slots how many at a time,
                 replicas which one (breaker: whether it is well), retry how often, alarms and
                 watchdog for how long; transport carries its bytes, refusal reads its errors,
                 event_stream its events (sse), transcript remembers its words, spending its usage
10. respond      the answer to the client's bytes; a broken stream ends loudly
11. record       what became of it all, closed once
12. tap          off the path: traces, metrics, shadow, judging
                 (metrics, named in families, count into a ledger; exposition makes text of it);
                 tracing makes spans of a closed record, where a collector wants them

app makes all of these; config says with which values. Thresholds that were applied since (tuning
finds them, rulings keeps them) are put in force by adopting; releases (release_state says who is
wanted and who stands, release_arms makes routes of them) by release_adopting, and canary draws who
gets the candidate. watching (duties says what for) has one worker look at what comes into the
store: drifting holds it to what the threshold was found on. Commands: ask, top, and doctor
(deep_doctor: abilities that upstreams were seen to have, prospects that routes have by them).
"""
