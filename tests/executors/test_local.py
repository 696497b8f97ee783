import os
import signal

import conformance
import pytest
import works

from nearfield_server.executors.base import JobFailure


@pytest.mark.slow
class TestLocal(conformance.Conformance):
    @pytest.fixture
    def executor(self, local):
        return local

    def test_ctrl_c_ends_workers_without_a_traceback(self, executor, capfd):
        with pytest.raises(JobFailure, match="shard 0 lost its worker"):
            dict(executor.map(works.interrupted, [1]))
        assert capfd.readouterr().err == ""

    def test_a_worker_lost_while_it_had_nothing_to_do(self, executor):
        for pid in {*dict(executor.map(works.process, [1, 2, 3, 4])).values()}:
            os.kill(pid, signal.SIGKILL)
        assert dict(executor.map(works.squared, [1, 2, 3])) == {0: 1, 1: 4, 2: 9}
