"""Everything here runs the real commands, some in this process: seconds each, and no part of `make test-fast`."""

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.process)


@pytest.fixture(scope="module", autouse=True)
def _none_left_running() -> Iterator[None]:
    """A test that fails between starting a command and waiting for it leaves nothing that slows the next ones down."""
    yield
    for command in multiprocessing.active_children():
        command.kill()
        command.join()


@pytest.fixture(scope="session")
def hub_commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """The commands against a hub that serves what a test asks for, see `HubCommands`."""
    from tests.fixtures.hub_commands import HubCommands  # imports datasets
    from tests.fixtures.hub_server import fake_hub

    with fake_hub() as hub:
        commands = HubCommands(hub, tmp_path_factory.mktemp("hub"))
        yield commands
        commands.end()
