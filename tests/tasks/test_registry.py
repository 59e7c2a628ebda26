# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Tasks are found by name and bring a valid configuration."""

import pytest

from rslcore import tasks
from rslcore.config import OnPolicyRunnerCfg


def test_unknown_name_suggests_the_nearest():
    """A typing error gets the name that was meant."""
    with pytest.raises(ValueError, match="unknown task 'quadruped-falt'; did you mean 'quadruped-flat'"):
        tasks.get("quadruped-falt")


@pytest.mark.parametrize("name", tasks.names())
def test_spec_is_complete(name):
    """Every task has a description in one line and a configuration that survives the way to a dict and back."""
    task = tasks.get(name)
    assert task.name == name and task.num_envs > 0 and "\n" not in task.description
    cfg = task.cfg()
    assert OnPolicyRunnerCfg.from_dict(cfg.to_dict()) == cfg
    assert task.cfg() is not cfg
