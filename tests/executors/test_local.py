import conformance
import pytest


@pytest.mark.slow
class TestLocal(conformance.Conformance):
    @pytest.fixture
    def executor(self, local):
        return local
