/* document - the OpenAPI 3.1 document of both servers, put together at start from what stands beside the code it describes:
 *
 *   head.json, components.json        what is said once: title, errors, parameters, headers
 *   <resource>/openapi.json           paths and schemas of each resource of this server
 *   commands.json                     the paths of the commands server; their bodies are made from schemas/trip/commands
 *   verdicts.json                     verdict → status → type; a test holds it to the decider's table
 *
 * So a resource or command that is added brings its own piece. GET /openapi.json and /openapi.yaml serve the two forms. */
#ifndef BERTH_QUERY_API_OPENAPI_DOCUMENT_H
#define BERTH_QUERY_API_OPENAPI_DOCUMENT_H

#include "query-api/server/server.h"

/* Fills server->openapi_json and openapi_yaml. A malformed piece is a bug (assert). */
void qa_document_build(qa_server *server);
void qa_document_release(qa_server *server);

/* The same document in YAML's block style. json: a whole, well-formed value. */
void qa_yaml_write(bt_buf *yaml, bt_str json);
/* The JSON Schema of a command's body, from its Avro schema's text. */
void qa_body_schema_write(bt_buf *json, const char *name, bt_str avsc);

#endif
