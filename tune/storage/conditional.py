"""One small object that several processes write, each only if nobody else did since it looked."""

import logging
import secrets
import time
from hashlib import sha256
from typing import Any, Final, Protocol

from hbpr.errors import ConfigError, HbprError
from hbpr.object_store import region, told
from hbpr.places import Place

logger = logging.getLogger(__name__)

#: Seconds until an object that was written without a condition is looked at again.
SETTLE_S: Final = 2.0
_CONNECT_S: Final = 3
_READ_S: Final = 10
#: HTTP: the object is gone, is being written, is another one.
_REFUSED: Final = (404, 409, 412)


class Conditional(Protocol):
    """An object that is written under a condition."""

    def read(self) -> tuple[bytes, str] | None:
        """Return the content and its tag; None where there is no object."""

    def replace(self, content: bytes, expected: str | None) -> str | None:
        """Write the object if its tag is still the expected one.

        Args:
            content: Never the same twice.
            expected: Tag of what was read; None: there was no object.

        Returns:
            The new tag; None where the object is another one by now, and was left as it is.
        """


def conditional(place: Place) -> Conditional:
    """Return the object at a place, under the strongest condition that its store has.

    Raises:
        ConfigError: The store cannot be used.
    """
    if not place.told.startswith("s3://"):
        return SettledObject(place)
    thing = S3Object(place)
    if thing.keeps_conditions():
        return thing
    logger.warning("%s: this store ignores If-None-Match; see docs/guides/cluster.md", place.told)
    return SettledObject(place)


class S3Object:
    """An object of S3, whose store refuses a write where the condition does not hold."""

    def __init__(self, place: Place) -> None:
        try:
            import boto3  # type: ignore[import-untyped]
            from botocore.config import Config  # type: ignore[import-untyped]
        except ImportError as error:
            raise ConfigError(
                f"sweep.storage: {place.told}: studies on s3:// need boto3 where the driver runs: "
                "pip install 'hbpr[s3]'"
            ) from error
        self._place = place
        self._bucket, _, self._key = place.path.partition("/")
        config = Config(
            connect_timeout=_CONNECT_S, read_timeout=_READ_S, retries={"total_max_attempts": 2}
        )
        self._client: Any = boto3.client("s3", region_name=region(self._bucket), config=config)

    def read(self) -> tuple[bytes, str] | None:
        """Return the content and its tag; None where there is no object."""
        from botocore.exceptions import (  # type: ignore[import-untyped]
            BotoCoreError,
            ClientError,
        )

        try:
            found = self._client.get_object(Bucket=self._bucket, Key=self._key)
            return found["Body"].read(), found["ETag"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise self._problem(error) from error
        except BotoCoreError as error:
            raise self._problem(error) from error

    def replace(self, content: bytes, expected: str | None) -> str | None:
        """Write the object if its tag is still the expected one."""
        condition = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected}
        return self._put(self._key, content, condition)

    def _put(self, key: str, content: bytes, condition: dict[str, str]) -> str | None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            done = self._client.put_object(Bucket=self._bucket, Key=key, Body=content, **condition)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            missing = error.response["Error"]["Code"] == "NoSuchBucket"
            if status in _REFUSED and not missing:
                return None
            raise self._problem(error) from error
        except BotoCoreError as error:
            raise self._problem(error) from error
        return str(done["ETag"])

    def keeps_conditions(self) -> bool:
        """Return whether the store refuses what it should: some take a condition and ignore it."""
        key = f"{self._key}.{secrets.token_hex(4)}"
        first = self._put(key, b"1", {"IfNoneMatch": "*"})
        second = self._put(key, b"2", {"IfNoneMatch": "*"})
        self._client.delete_object(Bucket=self._bucket, Key=key)
        return first is not None and second is None

    def _problem(self, error: Exception) -> HbprError:
        return HbprError(f"{self._place.told}: {told(error)}")


class SettledObject:
    """An object of a store without conditions: who wrote last, and is still there, has it.

    Two that look at the same time both write; both look again a while later, and one of them finds
    the other's. It goes wrong only where a process hangs for longer than `SETTLE_S` between its
    look and its write.
    """

    def __init__(self, place: Place, settle_s: float = SETTLE_S) -> None:
        self._place = place
        self._settle_s = settle_s

    def read(self) -> tuple[bytes, str] | None:
        """Return the content and its tag; None where there is no object."""
        content = self._place.read_if_there()
        return None if content is None else (content, _tag(content))

    def replace(self, content: bytes, expected: str | None) -> str | None:
        """Write the object if its tag is still the expected one."""
        found = self.read()
        if (None if found is None else found[1]) != expected:
            return None
        self._place.write(content)
        time.sleep(self._settle_s)
        settled = self.read()
        return _tag(content) if settled is not None and settled[0] == content else None


def _tag(content: bytes) -> str:
    return sha256(content).hexdigest()
