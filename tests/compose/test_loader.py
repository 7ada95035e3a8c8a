"""What the loader composes for a job of a sweep; Hydra's own loader is the oracle."""

import pickle

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.types import RunMode
from omegaconf import OmegaConf

import runner
from runner.app import composer
from runner.compose.loader import Loader
from runner.lookup import BadInput

SMALL = ["dataset=and", "weights=none"]
# What the program decides: folders, and that a job stays where the program was started.
DECIDED = (("run", "dir"), ("sweep", "dir"), ("sweep", "subdir"), ("job", "chdir"))
EXPERIMENT = """\
# @package _global_
# An experiment that chooses, sets and refers
defaults:
  - override /dataset: xor
  - override /network: two_layer
  - override /weights: none
  - override /optimizer: adam
network:
  hidden: [3, 4]
seed: 7
epochs: ${network.hidden.1}
expect:
  n: 4
"""
CHILD = """\
# @package _global_
# One that builds on another
defaults:
  - mine
  - override /activation: tanh
  - _self_
seed: 8
optimizer:
  params:
    lr: 0.5
"""
WORDS = [
    [],
    [*SMALL, "seed=1"],
    [*SMALL, "seed=1", "seed=2"],
    [*SMALL, "network.hidden=[3]", "network.activations=[tanh]"],
    [*SMALL, "optimizer=adam", "optimizer.params.lr=0.5"],
    [*SMALL, "optimizer.params.lr=0.5", "optimizer=adam"],
    [*SMALL, "optimizer.params={lr: 0.25}"],
    [*SMALL, "schedule=step", "task=training"],
    [*SMALL, "+optimizer.params.momentum=0.5"],
    [*SMALL, "++optimizer.params.lr=0.5", "++optimizer.params.momentum=0.5"],
    [*SMALL, "+optimizer.params={a: 1, b: [2, {c: 3}]}"],
    [*SMALL, "~optimizer.params.lr"],
    [*SMALL, "~optimizer.params.lr", "seed=3"],
    [*SMALL, "seed=3", "~optimizer.params.lr=0.1"],
    # The order counts where one word is about what another one makes.
    [*SMALL, "optimizer.params.lr=0.5", "~optimizer.params.lr=0.5"],
    [*SMALL, "optimizer.params.lr=0.5", "~optimizer.params.lr", "seed=3"],
    [*SMALL, "optimizer.params.lr=0.5", "~optimizer.params.lr", "+optimizer.params.lr=2"],
    [*SMALL, "+optimizer.params.a=1", "optimizer.params.a=2"],
    [*SMALL, "optimizer.params={lr: 2}", "++optimizer.params.lr=3"],
    [*SMALL, "++optimizer.params.lr=3", "optimizer.params={lr: 2}"],
    [*SMALL, "seed=4", "epochs=${seed}"],
    [*SMALL, "epochs=${seed}", "seed=4"],
    [*SMALL, "network.hidden=[${seed}]", "seed=5"],
    [*SMALL, "batch_size=[1,2]", "timing.repeats=1"],
    [*SMALL, "threads=null", "dataset.limit=2", "dataset.one_hot_label=true"],
    [*SMALL, "+expect={n: 4}", "+expect.correct=1"],
    [*SMALL, "sweep.exclude=[{seed: 1}]", "sweep.zip=[[seed,epochs]]"],
    [*SMALL, "data_dir='a=b, c'", 'output_dir="it\'s"'],
    [*SMALL, "data_dir='${dtype}/x'", "seed=2"],
    ["dataset=inline", "dataset.params.x=[[0,1],[1,0]]", "dataset.params.t=[0,1]", "weights=none"],
    ["dataset=inline", "dataset.params={x: [[0.5]], t: null}", "weights=none"],
    ["task=perceptron", "dataset=or", "epochs=50", "task.params.lr=0.5"],
    ["task=perceptron", "dataset=or", "task.params.shuffle=true", "seed=9"],
    ["experiment=mine"],
    ["experiment=mine", "seed=9"],
    ["experiment=mine", "network.hidden=[5,6]"],
    ["experiment=mine", "dataset=and", "optimizer=sgd"],
    ["experiment=child"],
    ["experiment=child", "optimizer.params.lr=2", "activation=elu"],
    ["experiment=[mine,child]", "optimizer.params.lr=2"],
    ["experiment=and_gate"],
    ["experiment=train_relu", "epochs=1"],
    ["activation=own", *SMALL, "network.hidden=[2]"],
    ["activation=own", *SMALL, "activation.params.a=3"],
]
MASTERS = [
    ["hydra.help.header=c", "hydra/job_logging=default"],
    ["hydra.verbose=[a.b]", "hydra.help.header=${seed}"],
]


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """A folder of one's own choices."""
    folder = tmp_path_factory.mktemp("mine")
    files = {
        "experiment/mine.yaml": EXPERIMENT,
        "experiment/child.yaml": CHILD,
        "experiment/and.yaml": "# @package _global_\nexpect: {n: 4}\n",
        "experiment/whole.yaml": "# @package _global_\ndefaults: [/experiment/mine, _self_]\n",
        "experiment/broken.yaml": "# @package _global_\nnetwork:\n  hidn: [3]\n",
        "activation/own.yaml": "name: own:made\nparams:\n  a: 1\n  b: ${seed}\n",
        "own.py": "def made(a, b):\n    return (lambda x: a * x), (lambda y: y * 0 + a)\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def loaders(mine, monkeypatch):
    """Return our loader, Hydra's, and a way to compose what a sweep's jobs have in common."""
    # What an optimizer's parameters mean is said elsewhere; here it is where they end up.
    monkeypatch.setattr("runner.job.identify", lambda *args, **options: Named)
    with composer(mine) as hydra:
        ours = hydra.config_loader
        stock = ConfigLoaderImpl(ours.config_search_path)

        def master(*words):
            cfg = hydra.compose_config(
                "config", [*words, "hydra.mode=MULTIRUN"], RunMode.MULTIRUN, False
            )
            cfg.hydra.sweep.dir = "sweeps/s"
            return cfg

        yield ours, stock, master


class Named:
    run_id = "0123456789ab"


def plain(cfg):
    content = OmegaConf.to_container(cfg, resolve=False, enum_to_str=True)
    decided = {keys: content["hydra"][keys[0]].pop(keys[1]) for keys in DECIDED}
    return content, decided


def check(loaders, cfg, jobs):
    """Compare each job's configuration with Hydra's, met in this order and in the opposite one."""
    ours, stock, _ = loaders
    expected = {tuple(words): plain(stock.load_sweep_config(cfg, words))[0] for words in jobs}
    # What one job sets must not be there in the next, whichever is first.
    for words in [*jobs, *reversed(jobs)]:
        made, decided = plain(ours.load_sweep_config(cfg, words))
        if ours.unchecked:
            made["expect"] = expected[tuple(words)]["expect"]
        assert made == expected[tuple(words)], words
        assert decided["sweep", "dir"] == "sweeps/s"
        assert decided["sweep", "subdir"] == "jobs/0123456789ab"
        assert decided["job", "chdir"] is False


def test_a_job_is_composed_as_hydra_composes_it(loaders):
    check(loaders, loaders[2](), WORDS)


@pytest.mark.parametrize("words", MASTERS, ids=" ".join)
def test_what_a_sweep_says_of_hydra_is_in_each_job(loaders, words):
    check(loaders, loaders[2](*words), WORDS[:3] + WORDS[-4:])


def test_only_words_that_change_an_experiment_leave_out_what_it_expects(loaders):
    ours, _, master = loaders
    cfg = master()
    kept = [["experiment=mine"], ["experiment=mine", "timing.repeats=1"]]
    changed = [["experiment=mine", "seed=1"], ["experiment=mine", "dataset=and"]]
    for words in [*kept, *changed, *kept]:
        assert ours.load_sweep_config(cfg, words).expect == ({} if words in changed else {"n": 4})
    assert ours.load_sweep_config(cfg, ["seed=1", "+expect={n: 5}"]).expect == {"n": 5}
    # One that another choice names, and one that builds on another by its whole path.
    assert ours.load_sweep_config(cfg, [*SMALL, "experiment=${dataset}"]).expect == {"n": 4}
    assert ours.load_sweep_config(cfg, ["experiment=whole", "seed=1"]).expect == {}
    assert ours.load_job(cfg, kept[1], 0).config.expect == {"n": 4}
    assert ours.load_job(cfg, changed[0], 0).config.expect == {}


def test_a_job_has_no_words_of_hydras(loaders):
    ours, _, master = loaders
    message = "hydra.verbose: expected no key of hydra's in a job of a sweep, got hydra.verbose="
    with pytest.raises(BadInput, match=message):
        ours.load_job(master(), [*SMALL, "hydra.verbose=true"], 0)


def test_an_output_folder_below_a_file(here):
    (here / "file").touch()
    for folder in ("file", "file/x"):
        with pytest.raises(BadInput, match="output_dir: expected a folder, got the file file"):
            runner.run([*SMALL, f"output_dir={folder}"])


def test_a_job_does_not_share_its_values_with_the_next(loaders):
    ours, _, master = loaders
    cfg = master()
    one = ours.load_sweep_config(cfg, [*SMALL, "network.hidden=[1]"])
    one.network.hidden.append(2)
    one.optimizer.params.lr = 5
    one.hydra.job.num = 3
    two = ours.load_sweep_config(cfg, [*SMALL, "epochs=1"])
    assert two.network.hidden == [50, 100]
    assert two.optimizer.params.lr == 0.1
    assert OmegaConf.is_missing(two.hydra.job, "num")


def test_jobs_of_the_same_choices_are_composed_once(loaders, monkeypatch):
    ours, _, master = loaders
    cfg = master()
    composed = []
    load = ConfigLoaderImpl.load_configuration
    monkeypatch.setattr(
        ConfigLoaderImpl,
        "load_configuration",
        lambda self, *args, **options: composed.append(args) or load(self, *args, **options),
    )
    for seed in range(5):
        for dataset in ("and", "or"):
            ours.load_sweep_config(cfg, [f"dataset={dataset}", "weights=none", f"seed={seed}"])
    assert len(composed) == 2


def test_a_worker_composes_once_for_all_copies_of_a_loader(loaders):
    ours, stock, master = loaders
    cfg, words = master(), [*SMALL, "seed=1"]
    ours.load_sweep_config(cfg, words)
    first, second = (pickle.loads(pickle.dumps(ours)) for _ in range(2))
    assert not first.composed  # nothing of it has come along
    made = first.load_sweep_config(cfg, words)
    assert plain(made)[0] == plain(stock.load_sweep_config(cfg, words))[0]
    assert len(second.composed) == 1
    assert second.composed is first.composed
    assert not pickle.loads(pickle.dumps(Loader(ours.config_search_path))).composed


def test_time_is_told_once_in_a_sweep(loaders):
    ours, _, master = loaders
    now = "${now:%f}"
    cfg = master(f"hydra.help.header='{now}'")
    first = cfg.hydra.help.header
    assert first == ours.load_sweep_config(cfg, [*SMALL, "seed=1"]).hydra.help.header
    assert first == ours.load_sweep_config(cfg, [*SMALL, "seed=2"]).hydra.help.header


@pytest.fixture(scope="module")
def composing(mine):
    with composer(mine) as hydra:
        yield (
            hydra,
            hydra.compose_config("config", ["hydra.mode=MULTIRUN"], RunMode.MULTIRUN, False),
        )


@pytest.mark.parametrize(
    "word",
    [
        "activation=rleu",
        "activation@x=relu",
        "actvation=relu",
        "network.hiden=[3]",
        "network.hidden=[-1]",
        "network.hidden=[a]",
        "network.hidden=3",
        "network=null",
        "network.activations=[tanh]",
        "network.activations=[rleu,tanh]",
        "optimizer.params.lt=1",
        "+optimizer.params.lr=1",
        "+mine=1",
        "++mine=1",
        "~optimizer.params.lt",
        "~optimizer.params.lr=7",
        "~activation",
        "seed=x",
        "seed=-1",
        "seed=1.5",
        "seed=${nope}",
        "epochs=${epochs}",
        "seed=${oc.select:a}",
        "output_dir=${hydra:job.num}",
        "batch_size=[1,1]",
        "expect={accuracy: {at_leest: 1}}",
        "task=trainig",
        "dataset=file",
        "dataset=../weights/none",
        "weights=inline",
        "weights.params.W1=[[1]]",
        "experiment=mien",
        "experiment=broken",
        "timing.repeats=0",
        "+network._target_=os.system",
        "activation.name=nosuch:thing",
    ],
)
def test_a_job_is_refused_in_the_words_of_a_single_run(composing, word):
    hydra, master = composing
    words = [*SMALL, word]
    with pytest.raises(BadInput) as single:
        hydra.compose_config("config", words, RunMode.RUN, False)
    with pytest.raises(BadInput) as swept:
        hydra.config_loader.identify(master, words)
    assert str(swept.value) == str(single.value)


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [("activation", "relu", "rleu"), ("epochs", "1", "0"), ("batch_size", "1", "x")],
)
def test_one_bad_job_is_refused_before_anything_is_written(here, key, good, bad):
    with pytest.raises(BadInput) as single:
        runner.run([*SMALL, f"{key}={bad}"])
    with pytest.raises(BadInput) as swept:
        runner.sweep([*SMALL, f"{key}={good},{bad}", "seed=1,2"])
    assert str(swept.value) == str(single.value)
    assert not (here / "outputs").exists()
