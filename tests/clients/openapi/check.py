"""Holds documents of OpenAPI, and answers of a server, against each other.

    check.py DOCUMENT...                  each is a document by the specification
    check.py --answers DOCUMENT FILE      FILE has JSON lines {"path", "verb", "request", "status", "kind", "body"}; each
                                          must be a request and an answer that the document describes. {"schema", "body"}
                                          is a part of an answer that has to be as this schema says

What an answer has and its schema does not name is wrong here, though a document leaves servers the room to add something.

Prints a line for all that is wrong, and ends with 1 then.
"""

import json
import sys

from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

wrong = []


def resolve(document, value):
    while "$ref" in value:
        target = document
        for name in value["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        value = target
    return value


def closed(value):
    if isinstance(value, list):
        return [closed(item) for item in value]
    if not isinstance(value, dict):
        return value
    value = {name: closed(item) for name, item in value.items()}
    if isinstance(value.get("properties"), dict) and value.get("type") == "object":
        value.setdefault("additionalProperties", False)
    return value


def validator(document, schema):
    # References are looked up from the root, so the schemas lie where the document has them.
    whole = closed({**schema, "components": document["components"]})
    return Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)


def named(document, schema):
    return validator(document, {"$ref": f"#/components/schemas/{schema}"})


def problems(validator, instance):
    for error in validator.iter_errors(instance):
        yield f"{'/'.join(map(str, error.absolute_path))}: {error.message}"


def check(validator, instance, what):
    wrong.extend(f"{what}: {problem}" for problem in problems(validator, instance))


def check_answer(document, answer):
    if "schema" in answer:
        return check(named(document, answer["schema"]), answer["body"], answer["schema"])
    path, verb, status = answer["path"], answer["verb"], str(answer["status"])
    what = f"{verb} {path} {status}"
    operation = document["paths"].get(path, {}).get(verb)
    if operation is None:
        return wrong.append(f"{what}: is not described")
    if "request" in answer:
        if verb == "post":
            content = operation["requestBody"]["content"]
        else:
            content = next(p for p in operation["parameters"] if p.get("name") == "message")["content"]
        check(validator(document, content["application/json"]["schema"]), answer["request"], f"{what}: request")
    response = operation["responses"].get(status) or operation["responses"].get("default")
    if response is None:
        return wrong.append(f"{what}: the status is not described")
    contents = resolve(document, response).get("content")
    if contents is None:
        # The document says nothing of it: there may be a text, or none.
        return None
    content = contents.get(answer["kind"])
    if content is None:
        return wrong.append(f"{what}: `{answer['kind']}` is not described")
    check(validator(document, content["schema"]), answer["body"], f"{what}: answer")


def main(arguments):
    if arguments[0] == "--answers":
        with open(arguments[1], encoding="utf-8") as file:
            document = json.load(file)
        with open(arguments[2], encoding="utf-8") as file:
            answers = [json.loads(line) for line in file]
        for answer in answers:
            check_answer(document, answer)
        print(f"{len(answers)} answers")
    else:
        for name in arguments:
            with open(name, encoding="utf-8") as file:
                document = json.load(file)
            for error in OpenAPIV31SpecValidator(document).iter_errors():
                wrong.append(f"{name}: {'/'.join(map(str, error.absolute_path))}: {error.message}")
            # The validator above looks at the document, not at each schema by its own rules.
            for schema, value in document["components"]["schemas"].items():
                try:
                    Draft202012Validator.check_schema(value)
                except Exception as error:
                    wrong.append(f"{name}: {schema}: {error}")
        print(f"{len(arguments)} documents")
    for line in wrong:
        print(line)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main(sys.argv[1:])
