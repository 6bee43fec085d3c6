"""Engines: started, probed, kept running; models fetched, derived and verified. Processes only.

    up.py            * the story of `tutelage up`: read this first
    embedded.py      the embedded default, written as a config file
    deployment.py    what `up` reads from a config file
    prepare.py       makes the models ready and exits (`make test`)
    models.py        the cache: fetched or derived, verified, made once
    wheel.py         one file out of one wheel, by the user's own pip
    home.py          TUTELAGE_HOME
    spec.py          what one engine is (checked.py, llamacpp_spec.py, vllm_spec.py)
    command.py       its command line (vllm_command.py, vllm_flags.py: what vLLM would take)
    llamacpp.py      the engine process itself
    scripted_engine.py   the verified fake, shipped: scripts.py and say.py (what it does),
                     performance.py (down to the socket: raw_http.py), written.py (cut to what was
                     asked), dialect.py and vllm_shapes/ (how it reads and speaks)
    engine.py        start, ready, stop             process.py   a child with a log
    causes.py        why it ended, in words         ports.py     who has its port
    fleet.py         the engines of a file          engines_up.py   started without a gateway
    elsewhere.py     upstreams that are not ours    engines_ls.py   what runs (token_rate.py)
    supervisor.py    restarts                       backoff.py   after how long
    rollout.py       releases in and out of service: rollout_plan.py (which engines), busy.py,
                     release_state.py (who is wanted, who stands), release_moves.py (and back)
    releases.py      the releases of this machine: release.py (one of them), release_adapter.py,
                     release_command.py and release_table.py (`tutelage releases`)
    lifeline.py      no orphans, whoever is killed
    gateway_child.py the gateway, run as a command
    running.py       every change told; roster.py   the state file; engines_table.py  `engines ls`
    guided_tour.py   the tour on the screen         tour.py      questions through the gateway
    scoreboard.py    what they add up to            tour_table.py   how it looks
    recorded.py      the same on the whole test part, when the models were made
    screen.py        the terminal                   triage/    the embedded task, models and data

Nothing here imports the gateway or the router: `up` runs the gateway as a command.
"""
