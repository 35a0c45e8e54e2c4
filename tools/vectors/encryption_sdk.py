"""Makes test/vectors/encryption-sdk with AWS's own Python implementation of the Encryption SDK, and decrypts with it what
another implementation made. test/vectors/README.md says how to run it; nothing of the build needs it.
"""

import base64
import hashlib
import json
import pathlib
import sys

import aws_encryption_sdk
import boto3
from aws_encryption_sdk.identifiers import Algorithm, CommitmentPolicy

COMMITTING = aws_encryption_sdk.EncryptionSDKClient(
    commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
)
OLD = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT)
SIGNED = Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384
UNSIGNED = Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY
CONTEXT = {"app": "shop", "Straße": "größer"}
TEXT = "päss wörd\n"


def key_in(region):
    kms = boto3.client("kms", region_name=region)
    return kms.create_key(Description="test vectors")["KeyMetadata"]["Arn"]


def plaintext_of(pattern, length):
    raw = pattern.encode("utf-8")
    return (raw * (length // max(len(raw), 1) + 1))[:length]


def vectors():
    """For each message: its name, the client, the plaintext as a pattern and its length in bytes, arguments of encrypt."""
    here, other, far = key_in("us-east-1"), key_in("us-east-1"), key_in("eu-west-1")
    strict = aws_encryption_sdk.StrictAwsKmsMasterKeyProvider
    one = strict(key_ids=[here])
    several = strict(key_ids=[here, other, far])
    cached = aws_encryption_sdk.CachingCryptoMaterialsManager(
        master_key_provider=strict(key_ids=[here]),
        cache=aws_encryption_sdk.LocalCryptoMaterialsCache(10),
        max_age=600.0,
    )
    text = (TEXT, len(TEXT.encode("utf-8")))
    big = ("0123456789abcdef", 512 * 1024)
    yield "unsigned", COMMITTING, *text, dict(key_provider=one, algorithm=UNSIGNED)
    yield "signed", COMMITTING, *text, dict(key_provider=one, algorithm=SIGNED)
    yield "context", COMMITTING, *text, dict(key_provider=one, algorithm=UNSIGNED, encryption_context=CONTEXT)
    yield "signed-context", COMMITTING, *text, dict(key_provider=one, algorithm=SIGNED, encryption_context=CONTEXT)
    yield "frames", COMMITTING, TEXT, 300, dict(key_provider=one, algorithm=SIGNED, frame_length=128)
    yield "single-block", COMMITTING, *text, dict(key_provider=one, algorithm=UNSIGNED, frame_length=0)
    yield "several-data-keys", COMMITTING, *text, dict(key_provider=several, algorithm=UNSIGNED)
    yield "empty", COMMITTING, "", 0, dict(key_provider=one, algorithm=SIGNED)
    yield "largest", COMMITTING, *big, dict(key_provider=one, algorithm=UNSIGNED)
    for number in (1, 2, 3):
        yield f"cached-{number}", COMMITTING, f"value {number}", 7, dict(
            materials_manager=cached, algorithm=UNSIGNED, encryption_context=CONTEXT
        )
    yield "version-1", OLD, *text, dict(
        key_provider=one, algorithm=Algorithm.AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384
    )


def make(directory):
    index = []
    for name, client, pattern, length, arguments in vectors():
        message, header = client.encrypt(source=plaintext_of(pattern, length), **arguments)
        (directory / f"{name}.message").write_bytes(message)
        context = arguments.get("encryption_context", {})
        index.append(dict(name=name, pattern=pattern, length=length, encryptionContext=context))
    (directory / "index.json").write_text(json.dumps(index, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def check():
    """Decrypts base64 from stdin; prints the length of the plaintext and its SHA-256."""
    keys = aws_encryption_sdk.DiscoveryAwsKmsMasterKeyProvider()
    plaintext, _ = COMMITTING.decrypt(source=base64.b64decode(sys.stdin.read()), key_provider=keys)
    print(len(plaintext), hashlib.sha256(plaintext).hexdigest())


if len(sys.argv) == 3 and sys.argv[1] == "make":
    make(pathlib.Path(sys.argv[2]))
elif sys.argv[1:] == ["check"]:
    check()
else:
    sys.exit("usage: encryption_sdk.py make DIRECTORY | check")
