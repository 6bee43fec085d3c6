"""Engines: started, probed, kept running; models fetched, derived and verified. Processes only.

    up.py            * the story of `tutelage up`: read this first
    embedded.py      the embedded default, written as a config file
    deployment.py    what `up` reads from a config file
    prepare.py       makes the models ready and exits (`make test`)
    models.py        the cache: fetched or derived, verified, made once
    wheel.py         one file out of one wheel, by the user's own pip
    home.py          TUTELAGE_HOME
    spec.py          what one engine is             command.py   its command line
    llamacpp.py      the engine process itself      scripted_engine.py   the verified fake, shipped
    engine.py        start, ready, stop             process.py   a child with a log
    supervisor.py    restarts                       backoff.py   after how long
    lifeline.py      no orphans, whoever is killed
    roster.py        who runs: the state file       engines_table.py     `tutelage engines ls`
    tour.py          questions through the gateway  scoreboard.py, tour_table.py   what came of it
    screen.py        the terminal                   triage/    the embedded task, models and data

Nothing here imports the gateway or the router: `up` runs the gateway as a command.
"""
