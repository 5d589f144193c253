/* api - what the whole API is, though two servers share it: reads are the query API's, orders are the commands server's.
 *
 * A client that sends the wrong method to a path that Berth has is told so (405, Allow), by whichever server it asked; 404 means that nobody has
 * that path. So each server also knows the paths that the other one takes. The list is made at build time from the pieces of the OpenAPI document. */
#ifndef BERTH_IO_HTTP_API_H
#define BERTH_IO_HTTP_API_H

#include "io/http/http.h"

/* Appends to a server's own routes every path and method of the API that is not among them, without a handler.
 *   routes  room for capacity of them (assert)
 * Returns how many there are now. */
size_t bt_api_add_elsewhere(bt_http_route *routes, size_t count, size_t capacity);

#endif
