"""Manifests: a cluster for hbpr on Kubernetes, a cloud, own hosts, Slurm or Docker."""
