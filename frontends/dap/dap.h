/* SPDX-License-Identifier: MIT */
/* vcpu-dap: what its files share. A debug adapter: it translates the requests of the Debug Adapter Protocol (version
 * 1.65) into commands of vcpu-dbg, whose answers are JSON.
 *
 *   wire.c        messages in and out          breakpoints.c   set...Breakpoints
 *   main.c        options, the loop            variables.c     scopes, variables, evaluate
 *   requests.c    the table, the run           memory.c        memory, disassembly */
#ifndef DAP_H
#define DAP_H

#include <jansson.h>

#include "cli.h"
#include "debugger.h"

struct dap {
	int in, out;
	char *bytes;             /* received, not yet a whole message */
	size_t len, room;
	bool gone, broken;       /* the client has closed; its last bytes were no message */
	json_t *queue;           /* requests that came while the machine ran */
	int seq;
	struct session session;
	struct recording recording;
	bool no_sandbox;
	char text[512];          /* output of COM1 that is not sent yet */
	size_t text_len;
	char *complaint;         /* of the launch */
	bool one_line;           /* the client counts lines and columns from 1, else from 0 */
	bool stop_on_entry, pausing;
	bool resumable;          /* the command that runs can be stopped and repeated for a request */
	json_t *ids;             /* breakpoints by what has set them: "source FILE", "function" ... */
	json_t *references;      /* of variables: cleared when the machine moves */
	const char *failure;     /* of the present request; NULL: it succeeded */
	char failure_text[512];
};

/* ---- wire.c ---- */

/* The next request: from the queue, else from the client. NULL: the client is gone. The caller's. */
json_t *wire_next(struct dap *d);
/* Put the messages that have come in into the queue, without waiting. */
void wire_poll(struct dap *d);
bool wire_queued(const struct dap *d, const char *command); /* NULL: any */
void wire_send(struct dap *d, json_t *message);             /* takes MESSAGE */
void wire_event(struct dap *d, const char *name, json_t *body); /* takes BODY, which may be NULL */

/* ---- requests.c ---- */

/* Do a request and respond. False: it was the last. */
bool request(struct dap *d, json_t *message);
/* Do a command of vcpu-dbg: the object of --json (frontends/debugger/json.c). The caller's, never NULL. */
json_t *dap_command(struct dap *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool dap_ok(json_t *answer);
const char *dap_error(json_t *answer);
/* The present request fails: NULL, for `return dap_fail(...)'. */
json_t *dap_fail(struct dap *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *dap_string(json_t *object, const char *name, const char *otherwise);
json_int_t dap_number(json_t *object, const char *name, json_int_t otherwise);
uint64_t dap_address(json_t *object, const char *name); /* "0x..." */
void dap_output(struct dap *d);                         /* send what COM1 has put out */
/* The machine has moved by ANSWER's command: tell so. REASON: for a stop at the requested place. */
void dap_stopped(struct dap *d, json_t *answer, const char *reason);

/* As printf does, malloc'd. */
char *dap_text(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "FILE:LINE" of a source of the protocol, as the debug information names it. Malloc'd. */
char *dap_line(struct dap *d, json_t *source, json_int_t line);

/* A request: its body. The caller's; NULL: an empty one, or dap_fail. */
typedef json_t *request_fn(struct dap *d, json_t *arguments);

request_fn on_set_breakpoints, on_set_function_breakpoints, on_set_instruction_breakpoints, on_set_data_breakpoints,
	on_set_exception_breakpoints, on_data_breakpoint_info;             /* breakpoints.c */
request_fn on_scopes, on_variables, on_set_variable, on_evaluate, on_completions;   /* variables.c */
request_fn on_disassemble, on_read_memory, on_write_memory;                   /* memory.c */
/* Where ARGUMENTS's variable can be evaluated: its expression, malloc'd. NULL: nowhere. */
char *variable_expression(struct dap *d, json_t *arguments);

#endif
