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
