/* wire - a client that can be as rude as it likes: raw bytes over a socket, and the server that the front's tests talk to. */
#ifndef BERTH_TESTS_UNIT_IO_WIRE_H
#define BERTH_TESTS_UNIT_IO_WIRE_H

#include "core/base.h"
#include "io/http/http.h"

extern const char *wire_backend; /* "civetweb", "loop", "loops" (three of them) or "pool" (a loop and handler threads); from the command line */
extern bt_http_server *wire_server;

/* How long a test waits for what must come: never used up by a test that passes, however slow the machine. */
#define WIRE_PATIENCE_MS 60000

/* A server whose timeouts are so long that a slow machine does not meet them, but for those that the options give. */
void wire_start(bt_http_options options);
/* Stops it and asserts that nothing was cut off. */
void wire_stop(void);

#define WIRE_ANSWER_MAX (8 << 20)
typedef struct wire_answer {
    int status; /* 0: the connection was closed, or nothing came in WIRE_PATIENCE_MS */
    char head[8192];
    char *body; /* zero-terminated; freed by wire_forget */
    size_t body_size;
    bool closed; /* the server closed the connection after it */
} wire_answer;

int wire_connect(void);
void wire_send(int fd, const char *bytes, size_t size);
void wire_say(int fd, const char *text);
/* Is there an answer, or the end, to be read within the time? Reads nothing. */
bool wire_is_spoken_to(int fd, int timeout_ms);
/* Reads one answer, by its Content-Length; expects_body is false for HEAD. */
wire_answer wire_hear(int fd, bool expects_body);
/* True when the server closes within the time. */
bool wire_is_closed(int fd, int timeout_ms);
void wire_forget(wire_answer *answer);
/* One whole exchange on a connection of its own. */
wire_answer wire_ask(const char *text);
const char *wire_header(const wire_answer *answer, const char *name, char ret_value[256]);

/* What the handlers below do is said in their names. */
extern _Atomic int wire_held_count; /* requests that POST /held has taken and not answered */
void wire_release_held(void);       /* answers them all, from another thread than took them */
extern _Atomic int wire_handled_count;

#endif
