"""What several tests share."""

import pytest
from distributed import Client, LocalCluster
from hypothesis import settings

# No example may fail because the machine is busy, and none leaves files in the checkout.
settings.register_profile("here", deadline=None, database=None)
settings.load_profile("here")


@pytest.fixture(scope="session")
def client():
    """Two worker processes; not the default for other tests: use `client.as_current()`."""
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster, set_as_default=False) as client:
        yield client
