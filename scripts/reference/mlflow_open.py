"""Open an MLflow export with MLflow itself and compare it with the JSONL export.

    rsc runs export --format jsonl > runs.jsonl
    rsc runs export --format mlflow --out mlruns
    python mlflow_open.py mlruns runs.jsonl

Needs mlflow, or mlflow-skinny (3.17.2 was used). Every run must be found by a search, with its
tags, all its settings and its values to the last bit.
"""

import json
import os
import sys

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"  # newer versions prefer a database

import mlflow
from mlflow.tracking import MlflowClient

folder, lines = sys.argv[1:]
records = [json.loads(line, parse_int=float) for line in open(lines)]
client = MlflowClient(tracking_uri="file://" + os.path.abspath(folder))
experiments = client.search_experiments()
assert [e.name for e in experiments] == ["rarespurious"], experiments
runs = client.search_runs([experiments[0].experiment_id], max_results=50_000)
by_id = {r.data.tags["rsc.id"]: r for r in runs}
assert len(by_id) == len(runs) == len(records), (len(runs), len(records))

params = values = files = 0
for record in records:
    run = by_id[record["id"]]
    assert run.data.metrics == record["values"], (run.data.metrics, record["values"])
    want = "FAILED" if record["status"] == "diverged" else "FINISHED"
    assert run.info.status == want, (run.info.status, record["status"])
    settings = {k.replace("[", ".").replace("]", ""): v for k, v in record["settings"].items()}
    assert run.data.params == settings, (run.data.params, settings)
    assert run.info.start_time <= run.info.end_time
    params += len(run.data.params)
    values += len(run.data.metrics)
    files += len(client.list_artifacts(run.info.run_id))
found = client.search_runs([experiments[0].experiment_id], "metrics.loss >= 0", max_results=50_000)
assert len(found) == sum("loss" in r["values"] for r in records), len(found)
print(f"mlflow {mlflow.__version__}: {len(runs)} runs, {params} settings, {values} values, {files} files")
