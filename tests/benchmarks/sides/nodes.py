"""A cluster of many nodes on this machine: real raylets on loopback, one CPU each.

    python nodes.py 50

It prints the head's address, and ends when its standard input does.
"""

import os
import sys
import time

if __name__ == "__main__":
    os.environ |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    from ray.cluster_utils import Cluster

    began = time.monotonic()
    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    cluster = Cluster(True, head_node_args=node | {"include_dashboard": False})
    for _ in range(int(sys.argv[1]) - 1):
        cluster.add_node(wait=False, **node)
    cluster.wait_for_nodes(timeout=600)
    sys.stdout.write(f"cluster at {cluster.address} after {time.monotonic() - began:.1f} s\n")
    sys.stdout.flush()
    sys.stdin.read()
    cluster.shutdown()
