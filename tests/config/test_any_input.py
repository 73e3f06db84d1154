"""Whatever stands anywhere in a file, the answer is a site or complaints that can be read; never another error."""

import copy
import json
import random
from pathlib import Path

import pytest

import config
import words
from config.yaml.tree import lines, read_tree, value

EXAMPLE = Path(config.__file__).parent / "examples" / "van-long.yaml"
TREE, _ = read_tree(EXAMPLE.read_text(encoding="utf-8"), "van-long.yaml")
OTHERS = (None, True, -1, 1.5, "", "x", "plc.x", [], [1], {}, {"x": 1}, [{"is": "running"}], {"tag": "press-plc.alarm"})


def changed(path, other):
    data = copy.deepcopy(value(TREE))
    here = data
    for part in path[:-1]:
        here = here[part]
    if other is KeyError:
        del here[path[-1]]
    else:
        here[path[-1]] = other
    return json.dumps(data)


@pytest.mark.parametrize("path", lines(TREE), ids=str)
def test_any_value_anywhere(path):
    for other in (*random.Random(str(path)).sample(OTHERS, 2), KeyError):
        try:
            site, found = config.parse_site(changed(path, other))
            config.compile_site(site, config.load_profiles())
            config.describe(site)
        except config.Misconfigured as error:
            found = error.complaints
            assert found
        for item in found:
            for language in words.LANGUAGES:
                words.complaint(item, language)
