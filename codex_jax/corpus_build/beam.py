"""The Beam engine: the same stages as one Apache Beam pipeline, for Dataflow, Flink, Spark or this machine.

What the stages decide (who is a copy of whom, splits, shards, the order within them) goes by keys alone, so that the
records and the digest are those of the local engine.
"""

import base64
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import AsDict, AsList, AsSingleton

from codex_jax.corpus_build import beam_steps as steps
from codex_jax.corpus_build import publish
from codex_jax.corpus_build.filtering import make_rules
from codex_jax.corpus_build.settings import Settings
from codex_jax.errors import InputError
from codex_jax.records.manifest import MANIFEST_NAME, Manifest, SplitEntry
from codex_jax.records.writer import shard_name
from codex_jax.sources.source import parts
from codex_jax.text.splits import Boundaries

RESULT = "beam-result.json"


def add(rows: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """Tuples of numbers, summed place by place."""
    return tuple(map(sum, zip(*rows, strict=True)))


def merge(ones: Iterable[tuple[int, str]]) -> tuple[int, str]:
    """(tokens, name) of a repository: the tokens summed, the name that is there."""
    every = list(ones)
    return sum(tokens for tokens, _ in every), max(name for _, name in every)


def deduplicate(kept: Any, near: bool) -> tuple[Any, Any]:
    """(documents without copies, those dropped as near copies)."""
    unique = (
        kept
        | "by content" >> beam.Map(lambda one: (one.content, one))
        | "first copy" >> beam.CombinePerKey(steps.first)
        | beam.Values()
    )
    if not near:
        return unique, None
    keyed = unique | "by key" >> beam.Map(lambda one: (one.key, one))
    pairs = (
        unique
        | "bands" >> beam.FlatMap(steps.bands_of)
        | beam.GroupByKey()
        | "propose" >> beam.FlatMap(steps.propose)
        | beam.Distinct()
    )
    sent = (
        {"document": keyed, "other": pairs}
        | "join earlier" >> beam.CoGroupByKey()
        | "send shingles" >> beam.FlatMap(steps.send_shingles)
    )
    verdicts = (
        {"document": keyed, "other": sent}
        | "join later" >> beam.CoGroupByKey()
        | "verify" >> beam.FlatMap(steps.keep_unlike).with_outputs("dropped", main="kept")
    )
    return verdicts["kept"], verdicts["dropped"]


def training_texts(survivors: Any, settings: Settings, earlier: Boundaries | None, once: Callable[..., Any]) -> Any:
    """What steps.make_tokenizer is called with."""
    if not settings.tokenizer.startswith("train:"):
        return [], settings.tokenizer
    repos = survivors | "repository" >> beam.Map(lambda one: one.repo.to_bytes(8)) | "repositories" >> beam.Distinct()
    usable = once("trainable", steps.trainable, AsList(repos), settings.seed, earlier)
    texts = (
        survivors
        | "to train on" >> beam.FlatMap(steps.may_train, AsSingleton(usable))
        | "training texts" >> beam.CombineGlobally(steps.SmallestTexts())
    )
    return AsSingleton(texts), settings.tokenizer


def pipeline(root: Any, settings: Settings, folder: str, name: str, earlier: Boundaries | None) -> None:
    """Puts all stages onto a pipeline; what the driver needs is written to FOLDER/beam-result.json."""
    numbered = [(number, part) for number, spec in enumerate(settings.sources) for part in parts(spec)]

    def once(label: str, function: Callable[..., Any], *sides: Any) -> Any:
        # Each has a beginning of its own: a shared one would be fused into a stage that waits for itself.
        start = root | f"start {label}" >> beam.Create([None])
        return start | label >> beam.Map(lambda _, *args: function(*args), *sides)

    examined = (
        root
        | "parts" >> beam.Create(numbered)
        | beam.Reshuffle()
        | "read" >> beam.FlatMap(steps.read, make_rules(settings)).with_outputs("dropped", main="kept")
    )
    kept, dropped = examined["kept"], examined["dropped"]
    survivors, near = deduplicate(kept, settings.near_dedupe)

    read_sizes = (
        (
            kept | "sizes kept" >> beam.Map(steps.size_of),
            dropped | "sizes dropped" >> beam.Map(lambda one: (1, one.size, 0, 0)),
        )
        | "sizes" >> beam.Flatten()
        | "sum sizes" >> beam.CombineGlobally(add).without_defaults()
    )
    files = once("tokenizer", steps.make_tokenizer, *training_texts(survivors, settings, earlier, once))
    encoded = survivors | "tokenize" >> beam.ParDo(steps.Tokenize(settings.seq_len), AsSingleton(files)).with_outputs(
        "dropped", main="tokenized"
    )
    tokenized = encoded["tokenized"]
    totals = (
        (
            survivors | "names" >> beam.Map(steps.name_of),
            tokenized | "tokens" >> beam.Map(steps.tokens_of),
        )
        | "totals" >> beam.Flatten()
        | "by repository" >> beam.CombinePerKey(merge)
    )
    boundaries = once("boundaries", steps.decide, AsList(totals), settings, earlier)
    small = once("small splits", steps.small_repositories, AsList(totals), AsSingleton(boundaries))
    counts = (
        tokenized
        | "count" >> beam.Map(steps.count, AsSingleton(small), settings)
        | "by split" >> beam.CombinePerKey(add)
    )
    plan = once("plan", steps.make_plan, AsSingleton(small), AsDict(counts), AsSingleton(files), settings)
    written = (
        (
            tokenized | "place" >> beam.FlatMap(steps.copies, AsSingleton(plan), settings),
            once("shards", steps.every_shard, AsSingleton(plan)) | "every shard" >> beam.FlatMap(iter),
        )
        | "placed" >> beam.Flatten()
        | "by shard" >> beam.GroupByKey()
        | "write" >> beam.Map(steps.write, AsSingleton(plan), folder, name)
    )
    reasons = (
        [group for group in (dropped, near, encoded["dropped"]) if group is not None]
        | "all dropped" >> beam.Flatten()
        # Only what is listed one by one is told apart by its name.
        | "reason" >> beam.Map(lambda one: (one.reason, one.id if one.detail else "", one.detail))
        | "by reason" >> beam.combiners.Count.PerElement()
    )
    survived = survivors | "survivors" >> beam.combiners.Count.Globally()
    result = once(
        "result",
        collect,
        AsList(read_sizes),
        AsDict(reasons),
        AsSingleton(survived),
        AsSingleton(files),
        AsSingleton(boundaries),
        AsList(totals),
        AsDict(counts),
        AsSingleton(plan),
        AsList(written),
    )
    _ = result | "save" >> beam.Map(lambda text: steps.put(FileSystems.join(folder, RESULT), text.encode()))


def collect(
    sizes: list[tuple[int, int, int, int]],
    reasons: dict[tuple[str, str, str], int],
    survived: int,
    files: dict[str, bytes],
    boundaries: Boundaries,
    totals: list[tuple[bytes, tuple[int, str]]],
    counts: dict[str, tuple[int, int, int, int]],
    plan: steps.Plan,
    written: list[tuple[str, int, int, str]],
) -> str:
    """All that the manifest needs, as JSON."""
    documents, size, kept, problems = sizes[0] if sizes else (0, 0, 0, 0)
    dropped: Counter[str] = Counter()
    for (reason, _name, _detail), number in reasons.items():
        dropped[reason] += number
    dropped["duplicate"] = kept - survived - dropped["near_duplicate"]
    listed = {*boundaries.members, *boundaries.exceptions}
    names = [(int.from_bytes(repo), name) for repo, (_tokens, name) in totals]
    splits: dict[str, Any] = {}
    for split in publish.SPLITS:
        number, tokens, its_bytes, _prompts = counts.get(split, (0, 0, 0, 0))
        shards = [records for name, _, records, _ in sorted(written) if name == split]
        splits[split] = SplitEntry(records=sum(shards), shards=shards, documents=number, tokens=tokens, bytes=its_bytes)
    order = sorted(written, key=lambda one: (publish.SPLITS.index(one[0]), one[1]))
    return json.dumps(
        {
            "documents": documents,
            "bytes": size,
            "kept": kept,
            "problems": problems,
            "dropped": {reason: number for reason, number in dropped.items() if number},
            "contaminated": [[name, detail] for _, name, detail in reasons if detail],
            "tokenizer": {name: base64.b64encode(data).decode() for name, data in files.items()},
            "boundaries": [boundaries.seed, boundaries.ends, [*boundaries.members.items()], [*boundaries.exceptions]],
            "names": [[repo, name] for repo, name in names if repo in listed],
            "splits": splits,
            "hashes": [sha256 for _, _, _, sha256 in order],
            "masked": plan.layout[3],
        }
    )


def build(
    settings: Settings, folder: str, name: str, runner: str, options: tuple[str, ...], earlier: Boundaries | None
) -> Manifest:
    """Builds a data set in `folder`, which may be on a file system that Beam knows, such as gs://BUCKET/DIR."""
    flags = [f"--runner={runner}", *(f"--{option}" for option in options)]
    if not FileSystems.exists(folder):
        FileSystems.mkdirs(folder)
    try:
        with beam.Pipeline(options=PipelineOptions(flags)) as root:
            pipeline(root, settings, folder, name, earlier)
    except InputError as error:
        raise InputError(str(error).split(" [while running")[0]) from None
    except Exception as error:
        # Beam wraps what a step raised; the innermost message says what is wrong.
        raise InputError(f"the Beam pipeline failed: {error}") from error
    result_path = FileSystems.join(folder, RESULT)
    with FileSystems.open(result_path) as file:
        result = json.loads(file.read())
    tally = publish.Tally(
        result["documents"], result["bytes"], result["dropped"], [(one[0], one[1]) for one in result["contaminated"]]
    )
    publish.refuse_empty(result["kept"], result["problems"], tally, settings)
    seed, ends, members, exceptions = result["boundaries"]
    boundaries = Boundaries(seed, ends, {int(repo): split for repo, split in members}, frozenset(exceptions))
    files = {file: base64.b64decode(data) for file, data in result["tokenizer"].items()}
    manifest = publish.make_manifest(
        name,
        settings,
        steps.unpack_tokenizer(files),
        tally,
        result["splits"],
        result["hashes"],
        boundaries,
        {int(repo): repo_name for repo, repo_name in result["names"]},
        result["masked"],
    )
    with tempfile.TemporaryDirectory() as made:
        # TFDS takes the names of the shards from the folder, and the shards may lie elsewhere.
        shards = [
            Path(made) / shard_name(name, split, number, len(entry["shards"]))
            for split, entry in manifest["splits"].items()
            for number in range(len(entry["shards"]))
        ]
        for shard in shards:
            shard.touch()
        publish.publish(Path(made), manifest, tally, result["masked"])
        for file, data in files.items():
            _upload(folder, f"tokenizer/{file}", data)
        # The manifest, by which readers see that all is there, comes last.
        for path in sorted(
            {*Path(made).iterdir()} - {*shards}, key=lambda path: (path.name == MANIFEST_NAME, path.name)
        ):
            _upload(folder, path.name, path.read_bytes())
    FileSystems.delete([result_path])
    return manifest


def _upload(folder: str, name: str, data: bytes) -> None:
    parent, _, last = f"{folder}/{name}".rpartition("/")
    if not FileSystems.exists(parent):
        FileSystems.mkdirs(parent)
    steps.put(f"{parent}/{last}", data)
