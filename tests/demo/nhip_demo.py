"""Runs `nhip demo` as a person would. Each proof takes minutes, so each has a file of its own: files run side by side."""

import json
import subprocess
import sys

NHIP = [sys.executable, "-m", "nhip"]


def demo(tmp_path, *more, timeout=800):
    report = tmp_path / "report.json"
    command = [*NHIP, "demo", "--report", str(report), "--folder", str(tmp_path / "stage"), "--lang", "en", *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    return done, json.loads(report.read_text()) if report.exists() else None
