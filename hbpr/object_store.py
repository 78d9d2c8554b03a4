"""Files on an object store: ``s3://bucket/key``, on Amazon's or one that speaks its protocol.

Credentials, region and endpoint are those of the AWS settings of the environment: AWS_PROFILE, or
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; AWS_REGION; AWS_ENDPOINT_URL.
"""

import os
from typing import Any, Final
from urllib.parse import urlsplit

from pyarrow import fs

from hbpr.errors import DataError

#: Seconds until a store that does not answer is given up, and how often it is asked.
_CONNECT_S: Final = 10
_REQUEST_S: Final = 60
_TRIES: Final = 3

_CREDENTIALS: Final = (
    "the object store refuses access: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
    "AWS_PROFILE, and the rights of that account"
)
_AWAY: Final = "the object store does not answer: check the network and AWS_ENDPOINT_URL"
#: What Arrow and boto3 say of a failed request, in words that tell what to do.
_TOLD: Final = (
    (("ACCESS_DENIED", "INVALID_ACCESS_KEY", "SIGNATURE", "INVALID_CLIENT_TOKEN"), _CREDENTIALS),
    (("UNRECOGNIZED_CLIENT", "HTTP status 403", "credentials"), _CREDENTIALS),
    (("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"), _CREDENTIALS),
    (("NETWORK_CONNECTION", "REQUEST_TIMEOUT", "curlCode"), _AWAY),
    (("Could not connect to the endpoint", "timeout on endpoint"), _AWAY),
    (("NO_SUCH_BUCKET", "NoSuchBucket", "' not found"), "there is no such bucket"),
)


def open_store(address: str) -> tuple[Any, str]:
    """Return the file system of an address, and the path in it.

    Raises:
        DataError: It is none that can be read.
    """
    scheme, _, root = address.partition("://")
    if scheme == "file":
        return fs.LocalFileSystem(), root.rstrip("/")
    if scheme != "s3":
        raise DataError(
            f"{address}: files are read from this machine or from s3://BUCKET/KEY, got {scheme}://"
        )
    bucket = root.partition("/")[0]
    if not bucket:
        raise DataError(f"{address}: name the bucket, as in s3://BUCKET/KEY")
    endpoint, options = _endpoint(), {}
    if endpoint:
        parts = urlsplit(endpoint)
        options = {"scheme": parts.scheme, "endpoint_override": parts.netloc + parts.path}
    try:
        system = fs.S3FileSystem(
            region=region(bucket),
            connect_timeout=_CONNECT_S,
            request_timeout=_REQUEST_S,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_TRIES),
            allow_delayed_open=True,  # a small object is one request
            **options,
        )
    except (OSError, ValueError) as error:
        raise DataError(f"{address}: {told(error)}") from error
    return system, root.rstrip("/")


def region(bucket: str) -> str | None:
    """Return the region of a bucket: the environment's, else Amazon is asked.

    Raises:
        OSError: There is no such bucket, or no answer.
    """
    named = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if named or _endpoint():
        return named
    return str(fs.resolve_s3_region(bucket))


def _endpoint() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def told(error: Exception) -> str:
    """Say what a failed request means; nothing of what was sent."""
    text = str(error)
    return next((words for marks, words in _TOLD if any(mark in text for mark in marks)), text)
