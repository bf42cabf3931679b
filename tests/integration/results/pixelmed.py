"""PixelMed's validator of SR templates, started once for all reports."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.peers import PEERS

# The validator's style sheets are larger than Java's limits on XPath and than an ordinary stack.
_OPTIONS = [
    "-Xss64m",
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    *(f"-Djdk.xml.xpath{limit}Limit=0" for limit in ("TotalOp", "ExprOp", "ExprGrp")),
]


@dataclass(frozen=True)
class ReportValidator:
    """A running validator."""

    process: "subprocess.Popen[str]"

    def errors(self, path: Path) -> list[str]:
        """Return the lines that report an error; fail unless the validator found the template of the report."""
        asked, answered = self.process.stdin, self.process.stdout
        assert asked is not None
        assert answered is not None
        print(path, file=asked, flush=True)
        lines: list[str] = []
        for line in iter(answered.readline, "END\n"):
            assert line, "\n".join(lines)
            lines.append(line.rstrip("\n"))
        assert any("Found Root Template" in line for line in lines), lines
        assert any("Root Template Validation Complete" in line for line in lines), lines
        return [line for line in lines if line.startswith("Error")]


@contextmanager
def report_validator() -> Iterator[ReportValidator]:
    """Yield a validator in one Java process, which ends with the block."""
    command = [str(PEERS["java"].program.with_name("java")), *_OPTIONS, "-cp", str(PEERS["pixelmed"].program)]
    program = Path(__file__).with_name("ReportValidator.java")
    with subprocess.Popen(
        [*command, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield ReportValidator(process)
        finally:
            process.kill()
