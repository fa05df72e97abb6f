/* SPDX-License-Identifier: MIT */
/* vcpu-dap: options and the loop. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mem/base/compat/socket.h"
#include "mem/base/compat/text.h"
#include "dap.h"
#include "ending.h"
#include "standard.h"

static struct dap dap;

static const char usage[] =
	"Usage: vcpu-dap [OPTION]...\n"
	"Debug a machine for an editor that speaks the Debug Adapter Protocol, such as VS Code. The launch request\n"
	"names a recording, or options of vcpu run: vcpu-dap(1).\n"
	"\n"
	"      --port=N      listen on TCP port N of this host, for one client [standard input and output]\n"
	"      --no-sandbox  keep the rights to write, connect and start that the user has\n"
	"      --help        show this text\n"
	"      --version     show the version\n";

/* A complaint is for the user, who sees the client: the response to the request has it, too. */
void complain(const char *format, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	if (!text)
		return;
	fprintf(stderr, "vcpu-dap: %s\n", text);
	free(dap.complaint);
	dap.complaint = text;
}

bool script_add(bool expect, const char *text)
{
	(void)expect, (void)text;
	complain("--expect and --type are options of vcpu run; use breakpoints and the command type");
	return false;
}

/* A client on TCP port PORT of the loopback interface; -1, having complained. */
static int accept_client(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, client = -1;

	if (listener >= 0) {
		setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
		if (!bind(listener, (struct sockaddr *)&address, sizeof address) && !listen(listener, 1))
			client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	}
	if (client < 0)
		complain("--port %u: %s", port, strerror(errno));
	if (listener >= 0)
		close(listener);
	return client;
}

static bool options(int argc, char **argv, uint64_t *port, int *status)
{
	*status = STATUS_USAGE;
	for (int i = 1; i < argc; i++) {
		const char *o = argv[i], *value = NULL;

		if (!strncmp(o, "--port", 6) && (!o[6] || o[6] == '=')) {
			value = o[6] ? o + 7 : i + 1 < argc ? argv[++i] : "";
			if (!*value) {
				complain("--port: an argument is missing");
				return false;
			}
			if (!options_number("port", value, port))
				return false;
			if (!*port || *port > 65535) {
				complain("--port %s: a port is from 1 to 65535", value);
				return false;
			}
		} else if (!strcmp(o, "--no-sandbox")) {
			dap.no_sandbox = true;
		} else if (!strcmp(o, "--help") || !strcmp(o, "-h")) {
			fputs(usage, stdout);
			return *status = STATUS_OK, false;
		} else if (!strcmp(o, "--version")) {
			printf("vcpu-dap %s\n", vcpu_version());
			return *status = STATUS_OK, false;
		} else {
			complain(*o == '-' ? "there is no option '%s' (--help lists them)"
					   : "unexpected argument '%s' (--help)", o);
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	uint64_t port = 0;
	json_t *message;
	bool more = true;
	int status;

	standard_open();
	if (!options(argc, argv, &port, &status)) {
		if (status != STATUS_OK || standard_written())
			return status;
		complain("cannot write standard output: %s", strerror(errno));
		return STATUS_HOST;
	}
	/* The protocol has standard output for itself. */
	dap.in = port ? accept_client((uint16_t)port) : dup(STDIN_FILENO);
	dap.out = port ? dap.in : dup(STDOUT_FILENO);
	if (dap.in < 0 || dap.out < 0)
		return STATUS_HOST;
	dup2(STDERR_FILENO, STDOUT_FILENO);
	ending_open(NULL, NULL);
	dap.queue = json_array();
	dap.references = json_array();
	dap.ids = json_object();
	while (more && (message = wire_next(&dap))) {
		more = request(&dap, message);
		json_decref(message);
	}
	status = dap.broken ? STATUS_USAGE : STATUS_OK;
	json_decref(dap.queue);
	json_decref(dap.references);
	json_decref(dap.ids);
	free(dap.bytes);
	if (dap.session.machine) {
		session_end(&dap.session);
		vcpu_debug_free(dap.session.debug);
		if (vcpu_flush(dap.session.machine)) {
			complain("%s", vcpu_error(dap.session.machine));
			status = STATUS_HOST;
		}
		vcpu_free(dap.session.machine);
	}
	recording_close(&dap.recording);
	free(dap.complaint);
	return status;
}
