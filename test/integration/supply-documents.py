"""Reads a document with the code of those who publish its format, and fails when they would not take it.

Called by supply-chain.test.ts: supply-documents.py spdx|statement FILE
"""
import json
import sys

kind, path = sys.argv[1:]

if kind == "spdx":
    from spdx_tools.spdx.parser.parse_anything import parse_file
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

    document = parse_file(path)
    problems = validate_full_spdx_document(document)
    for problem in problems:
        print(problem.validation_message, file=sys.stderr)
    if problems:
        sys.exit(1)
    print(len(document.packages))
elif kind == "statement":
    from google.protobuf import json_format
    from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
    from in_toto_attestation.v1.statement import Statement
    from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage

    with open(path, encoding="utf-8") as file:
        text = file.read()
    Statement.copy_from_pb(json_format.Parse(text, StatementMessage())).validate()
    predicate = json.loads(text)["predicate"]
    provenance = json_format.ParseDict(predicate, Provenance())
    for dependency in provenance.build_definition.resolved_dependencies:
        if not dependency.uri or not dependency.digest:
            sys.exit("a resolved dependency has no uri or no digest")
    print(provenance.run_details.builder.id)
else:
    sys.exit(f"unknown kind of document: {kind}")
