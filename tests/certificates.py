"""Certificates for tests: self-signed, for one IP address."""

import subprocess
from pathlib import Path


def issue(folder: Path, address: str, *, name: str = "server") -> tuple[Path, Path]:
    """A new certificate and its key, as files."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-keyout", str(key), "-out", str(certificate), "-days", "1", "-subj", f"/CN={name}"),
            *("-addext", f"subjectAltName=IP:{address}", "-addext", "basicConstraints=critical,CA:TRUE"),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key
