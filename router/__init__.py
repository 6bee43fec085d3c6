"""The science: what to trust, whom to ask, what a difference is. Pure functions of values.

No sockets, no event loop, no files, no clock: all of that is handed in, so the classes that rule
on live traffic are the classes that are replayed on traces.

The map
    deciding    which tokens decide: an answer's values, its words or its calls
    json_values the values of a JSON document while it is being written
    call_values the name and the arguments of a tool call, in the formats in use
    markers     the tags around reasoning and tool calls
    signals     the numbers read off the deciding tokens' logprobs
    calibration from signals to a confidence that means what it says: the artefact
    fitting     makes it from judged pairs; cross-validation chooses among four methods
    reliability the diagram, calibration error, Brier, log loss
    gate        holds the first tokens of a student's answer, then rules once
    collapse    after the commit: whether confidence in the last tokens has fallen
    checks      what makes a whole answer a certain deferral: form, loops, refusals
    refusal     the openings that models decline with
    repetition  the loop that a text ends in
    verify      a draft that the teacher has read: how much of it stands
    verify_rules     which tokens stand: greedy, lenient, top-k, the speculative cascades' rules
    verify_sampling  the rule that keeps the teacher's distribution, for reference
    policy      who may answer a request: the route's mode and the client's pin -> a plan
    trace       the record of one request and the judgements that point to it
    sampling    which requests are shadowed: the same answer on every replica
    divergence  two answers -> do they agree, and where do they part
    json_fields two JSON answers, field by field
    likeness    how like two texts are, where being the same is too much to ask
    clusters    divergences of one kind together
    sequential  whether a candidate is worse than the incumbent, looked at as often as one likes
    drift       whether traffic is still what a threshold was chosen on, with a false-alarm rate
    psi         how far two samples lie apart, and what chance alone makes of it
    ruled       which requests a threshold is about
    evidence    what was recorded of a route, as arrays: what any other threshold would have met
    replay      coverage, risk and saving of a threshold, from the evidence
    risk        tests and bounds of a mean loss that hold for any number of pairs
    thresholds  the most lenient threshold with a promise, or why there is none
    tuning      from a route's records to a threshold and a report
    opening     what a gate read up to its ruling: enough for a smaller window
    windows     which window costs least at the same risk
    slices      the same threshold by caller, script or tag
    deferral    coverage and accuracy of every threshold, on labelled answers
    difficulty  how hard a request looks by its prompt alone
    fidelity    the share of agreeing pairs, weighted by propensity
    interval    a share and its 95 % interval
    cost        what an answer cost, and what it saved

Glossary: one word for one thing, here and in every other package.
    student         the small model that is tried first
    teacher         the larger model that is asked where the student cannot be trusted
    release         a student together with its calibration and thresholds
    signal          a number read off token logprobs
    confidence      in [0, 1], how surely the teacher would agree with the student
    threshold       the lowest confidence that commits, in (0, 1]
    window          the tokens held before the gate rules
    deciding token  a token that carries (part of) the answer, not the template around it
    verdict         wait, commit or escalate
    check           a test of form that a student's answer must pass, whatever its confidence
    deferral        a request that the student did not finish
    fallback        the teacher serving a deferral
    takeover        the teacher going on after a committed prefix
    verification    the teacher reading the student's tokens, and going on where it disagrees
    shadow          an off-path call to the model that did not serve
    propensity      the probability with which a request was shadowed, in (0, 1]
    divergence      a compared pair of answers
    fidelity        the share of pairs that agree
    coverage        the share of requests served by the student
    risk            P(the student is wrong | it serves): one less the fidelity of what it serves
    promise         risk <= max_risk, with probability 1 - delta
    trace           the record of one request: one exchange and its judgements
    route           the name that clients put in `model`; it has one student and one teacher
"""
