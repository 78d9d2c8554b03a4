"""The search of hbpr: a study's settings, its trials in parallel on Ray, its records, its winner.

`tune.study.run_study` runs a study, `tune.settings.load_study` reads one from YAML, and
`tune.commands` holds what ``hbpr tune``, ``hbpr study``, ``hbpr space`` and ``hbpr simulate`` do.
The rooms and what each may import are in ``docs/architecture.md``.
"""
