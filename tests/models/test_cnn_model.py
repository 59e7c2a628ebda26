# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import onnxruntime
import pytest
import rsl_rl.models
import torch
from tensordict import TensorDict

from rslcore.models import CNNModel
from rslcore.storage import RolloutStorage

GROUPS = {
    "actor": ["policy", "camera", "extra", "depth"],
    "critic": ["camera", "depth"],
    "blind": ["policy"],
    "one": ["camera"],
}
GAUSSIAN = {"class_name": "GaussianDistribution", "init_std": 0.4}
CNN_CFG = {"output_channels": [4, 6], "kernel_size": [5, 3], "stride": 2, "norm": "layer"}
ENVS = 6


def observations(dtype=torch.float32, *leading):
    """Two vectors and two images of different sizes."""
    leading = leading or (ENVS,)
    camera = torch.randint(256, (*leading, 3, 12, 16), dtype=torch.uint8)
    return TensorDict(
        {
            "policy": torch.randn(*leading, 4),
            "extra": torch.randn(*leading, 2),
            "camera": camera if dtype == torch.uint8 else camera / 255,
            "depth": torch.rand(*leading, 1, 9, 9),
        },
        batch_size=leading,
    )


def make(model_class=CNNModel, obs_set="actor", obs=None, **keywords):
    """A model with the same initial weights every time."""
    obs = observations() if obs is None else obs
    torch.manual_seed(0)
    settings = {"hidden_dims": [8, 5], "cnn_cfg": CNN_CFG, **keywords}
    return model_class(obs, GROUPS, obs_set, 3, **settings)


def make_both(**keywords):
    """The same model, ours and the oracle's."""
    return [make(model_class, **keywords) for model_class in (CNNModel, rsl_rl.models.CNNModel)]


@pytest.mark.parametrize("obs_set", ["actor", "critic"])
@pytest.mark.parametrize("per_group", [False, True])
def test_equals_the_oracle(obs_set, per_group):
    """Law: same names, order, initial weights, outputs and gradients as rsl-rl-lib, with and without 1-D groups."""
    other = {"output_channels": [2], "kernel_size": 3, "max_pool": True, "padding": "zeros"}
    cnn_cfg = {"depth": other, "camera": CNN_CFG} if per_group else CNN_CFG
    keywords = {"obs_set": obs_set, "cnn_cfg": cnn_cfg, "distribution_cfg": GAUSSIAN}
    ours, oracle = make_both(**keywords, obs_normalization=obs_set == "actor")
    obs = observations()
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in oracle.named_parameters()]
    assert list(ours.state_dict()) == list(oracle.state_dict())
    for name in ("obs_groups", "obs_dim", "obs_groups_2d", "obs_dims_2d", "obs_channels_2d", "cnn_latent_dim"):
        assert list([getattr(ours, name)]) == list([getattr(oracle, name)]), name
    results = []
    for model in (ours, oracle):
        model.update_normalization(obs)
        torch.manual_seed(3)
        sample = model(obs, stochastic_output=True)
        model.get_output_log_prob(torch.ones(ENVS, 3)).mean().backward()
        gradients = [p.grad for p in model.parameters()]
        results.append([sample, model.get_latent(obs).detach(), model.output_mean.detach(), *gradients])
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-6)
    oracle.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours.state_dict(), oracle.state_dict())


def test_uint8_images_stay_small():
    """Law: uint8 images are stored as such, and give the output of the same images scaled to 0..1."""
    obs = observations(torch.uint8)
    storage = RolloutStorage("rl", ENVS, 2, obs, [3])
    assert storage.observations["camera"].dtype == torch.uint8
    model = make(obs=obs)
    as_float = obs.clone()
    as_float["camera"] = obs["camera"] / 255
    torch.testing.assert_close(model(obs), make()(as_float))
    assert obs["camera"].dtype == torch.uint8


def test_shared_encoders_are_one_module():
    """Law: a model given another's encoders trains them, keeps its state-dict keys, and ignores its own `cnn_cfg`."""
    actor, oracle_actor = make_both()
    critic = make(obs_set="critic", cnns=actor.cnns)
    oracle = make(rsl_rl.models.CNNModel, "critic", cnns=oracle_actor.cnns)
    assert critic.cnns is actor.cnns
    assert [name for name, _ in critic.named_parameters()] == [name for name, _ in oracle.named_parameters()]
    critic(observations()).sum().backward()
    assert all(parameter.grad is not None for parameter in actor.cnns.parameters())
    as_dict = make(obs_set="critic", cnns=dict(actor.cnns.items()), cnn_cfg=None)
    assert as_dict.cnns["depth"] is actor.cnns["depth"]


def test_any_leading_dimensions():
    """Law: one environment without batch, and rollouts [T, N, ...], give what their rows give."""
    model = make(obs_normalization=True)
    rollout = observations(torch.float32, 3, 2)
    rows = model(rollout.flatten(0, 1))
    torch.testing.assert_close(model(rollout), rows.view(3, 2, 3))
    torch.testing.assert_close(model({name: value[0, 1] for name, value in rollout.items()}), rows[1])


def test_normalization_leaves_images_alone():
    """Law: the statistics are those of the 1-D groups; without any there is nothing to learn."""
    model = make(obs_normalization=True)
    model.update_normalization(observations())
    assert model.obs_normalizer.mean.shape == (6,) and model.obs_normalizer.count == ENVS
    blind = make(obs_set="critic", obs_normalization=True)
    blind.update_normalization(observations())
    assert blind(observations()).shape == (ENVS, 3)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8], ids=str)
@pytest.mark.parametrize("obs_set", ["actor", "critic"])
def test_torchscript_computes_the_same(obs_set, dtype, tmp_path):
    """Law: the script takes 1-D observations and a list of images, also none of the former."""
    obs = observations(dtype)
    model = make(obs_set=obs_set, obs=obs, obs_normalization=True, distribution_cfg=GAUSSIAN)
    model.update_normalization(obs)
    path = tmp_path / "policy.pt"
    torch.jit.script(model.eval().as_jit()).save(path)
    script = torch.jit.load(path)
    script.reset()
    vectors = torch.cat([torch.zeros(ENVS, 0), *(obs[group] for group in model.obs_groups)], dim=-1)
    actions = script(vectors, [obs[group] for group in model.obs_groups_2d])
    torch.testing.assert_close(actions, model(obs), rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8], ids=str)
@pytest.mark.parametrize("obs_set", ["actor", "one"])
def test_onnx_computes_the_same(obs_set, dtype, tmp_path):
    """Law: inputs are "obs" and every image group by its name, in its own dtype; outputs are the policy's actions."""
    obs = observations(dtype)
    model = make(obs_set=obs_set, obs=obs, obs_normalization=obs_set == "actor", distribution_cfg=GAUSSIAN)
    model.update_normalization(obs)
    onnx = model.eval().as_onnx(verbose=False)
    oracle = make(rsl_rl.models.CNNModel, obs_set, obs).as_onnx(verbose=False)
    assert (onnx.input_names, onnx.output_names) == (oracle.input_names, oracle.output_names)
    dummies = onnx.get_dummy_inputs()
    assert [d.shape for d in dummies] == [d.shape for d in oracle.get_dummy_inputs()]
    assert dummies[1].dtype == dtype and onnx.is_recurrent is False
    path = tmp_path / "policy.onnx"
    names = {"input_names": onnx.input_names, "output_names": onnx.output_names}
    torch.onnx.export(onnx, dummies, path, opset_version=18, dynamo=False, **names)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [given.name for given in session.get_inputs()] == onnx.input_names
    for row in range(ENVS):
        vectors = torch.cat([torch.zeros(1, 0), *(obs[group][row : row + 1] for group in model.obs_groups)], dim=-1)
        given = {"obs": vectors.numpy(), **{g: obs[g][row : row + 1].numpy() for g in model.obs_groups_2d}}
        (actions,) = session.run(["actions"], given)
        torch.testing.assert_close(torch.from_numpy(actions)[0], model(obs)[row], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"obs_set": "blind"}, r"CNNModel: a group must be an image .*, else use MLPModel; got {'policy': \[6, 4\]}"),
        ({"cnn_cfg": None}, "CNNModel: `cnn_cfg` must be given where no `cnns` are shared"),
        ({"cnn_cfg": {"camera": CNN_CFG}}, r"`cnn_cfg` must name the image groups \['camera', 'depth'\], got \['cam"),
        ({"cnn_cfg": {"camera": CNN_CFG, "dept": CNN_CFG}}, r"must name the image groups .*got \['camera', 'dept'\]"),
        ({"cnn_cfg": {**CNN_CFG, "chanels": 3}}, "CNN: unknown key 'chanels' in `cnn_cfg of 'camera'`"),
        ({"cnn_cfg": {"kernel_size": 3}}, r"`cnn_cfg` of 'camera' must have 'output_channels', got \['kernel_size'\]"),
        ({"cnn_cfg": {**CNN_CFG, "flatten": False}}, "CNNModel: the CNN of 'camera' must have `flatten` True"),
        ({"cnns": {"camera": torch.nn.Identity()}}, r"same image groups, expected \['camera'\], got \['camera', 'de"),
        ({"obs_set": "actr"}, "CNNModel: `obs_groups` has no set 'actr'; did you mean 'actor'"),
    ],
)
def test_clear_errors(keywords, message):
    """Law: each wrong setting is one line that names it."""
    with pytest.raises(ValueError, match=message):
        make(**keywords)


def test_wrong_observations_are_named():
    """Law: what is neither vector nor image, and images of another size than the model was built for, are named."""
    obs = observations()
    obs["extra"] = torch.zeros(ENVS, 5, 5)
    with pytest.raises(ValueError, match=r"'extra' must be \[num_envs, D\] or \[num_envs, C, H, W\], got \[6, 5, 5\]"):
        make(obs=obs)
    model = make()
    obs = observations()
    obs["depth"] = torch.zeros(ENVS, 1, 8, 9)
    with pytest.raises(ValueError, match=r"the image group 'depth' must be \['...', 1, 9, 9\], got \[6, 1, 8, 9\]"):
        model(obs)
