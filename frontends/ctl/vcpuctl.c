/* SPDX-License-Identifier: MIT */
/* vcpuctl: commands for machines that run with --control, one request each. What a socket answers is not trusted. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "mem/base/compat/socket.h"
#include "mem/base/compat/text.h"
#include "standard.h"

enum { LINE = 512, WORDS = 32 };
enum status { STATUS_OK = 0, STATUS_REFUSED = 1, STATUS_USAGE = 2, STATUS_NO_ANSWER = 3 };

static const struct command { const char *name, *argument, *text; } commands[] = {
	{ "list", NULL, "print a table of the machines" },
	{ "status", NULL, "print the state of a machine" },
	{ "stop", NULL, "stop the guest" },
	{ "continue", NULL, "let the guest run again" },
	{ "key", "KEY[+KEY]...", "press keys together: ctrl+alt+delete" },
	{ "type", "TEXT", "type TEXT (\\n, \\t, \\e, \\xHH) on the keyboard, or into COM1 without a display" },
	{ "nmi", NULL, "raise an NMI" },
	{ "reset", NULL, "press the reset button" },
	{ "powerdown", NULL, "press the power button" },
	{ "quit", NULL, "end the run in order, with status 10" },
	{ "limit", "LIMIT", "instructions=N|none: end the run there; share=1..100: percent of a processor" },
	{ "force", NULL, "end the run by SIGTERM" },
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static struct { bool json; long timeout_ms; } options = { .timeout_ms = 5000 };

__attribute__((format(printf, 1, 2))) static void complain(const char *format, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("vcpuctl: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
}

/* ---- one request ---- */

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool ready(int fd, short events, long until)
{
	struct pollfd p = { .fd = fd, .events = events };
	long left = until - now_ms();

	return left > 0 && poll(&p, 1, (int)left) > 0;
}

/* A descriptor that does not block, or -1 with errno. */
static int reach(const char *path, long until)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct timespec soon = { .tv_nsec = 10000000 };
	int fd;

	if (strlen(path) >= sizeof address.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	while (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address)) {
		int e = errno;

		if (e == EAGAIN && now_ms() < until) { /* many are waiting */
			nanosleep(&soon, NULL);
			continue;
		}
		close(fd);
		errno = e == EAGAIN ? ETIMEDOUT : e;
		return -1;
	}
	return fd;
}

/* One line from FD, without its end, into REPLY. False with errno. */
static bool read_line(int fd, char reply[LINE], long until)
{
	for (size_t len = 0; len < LINE; len++) {
		ssize_t n = ready(fd, POLLIN, until) ? recv(fd, reply + len, 1, 0) : -2;

		if (n != 1) {
			errno = n == -2 ? ETIMEDOUT : n ? errno : ECONNRESET;
			return false;
		}
		if (reply[len] == '\n') {
			reply[len] = 0;
			return true;
		}
		if (reply[len] < ' ' || reply[len] > '~')
			reply[len] = '?';
	}
	errno = EPROTO;
	return false;
}

/* False with errno: there is no answer. */
static bool ask(const char *path, const char *request, char reply[LINE])
{
	long until = now_ms() + options.timeout_ms;
	int fd = reach(path, until), e;
	bool ok;

	if (fd < 0)
		return false;
	send(fd, request, strlen(request), MSG_NOSIGNAL); /* who is refused finds the reason to read */
	ok = read_line(fd, reply, until);
	e = errno;
	close(fd);
	errno = e;
	return ok;
}

/* ---- answers ---- */

/* "ok NAME=VALUE ..." in pieces. */
struct reply { unsigned count; struct { const char *name, *value; } words[WORDS]; };

static void split(char *text, struct reply *r)
{
	char *word;

	r->count = 0;
	while ((word = strsep(&text, " ")) && r->count < WORDS) {
		char *value = strchr(word, '=');

		if (!value)
			continue;
		*value = 0;
		r->words[r->count].name = word;
		r->words[r->count++].value = value + 1;
	}
}

static const char *value_of(const struct reply *r, const char *name)
{
	for (unsigned i = 0; i < r->count; i++)
		if (!strcmp(r->words[i].name, name))
			return r->words[i].value;
	return "-";
}

static void print_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < ' ')
			printf("\\u%04x", *text);
		else
			putchar(*text);
	}
	putchar('"');
}

static void print_json(const char *path, const char *error, const struct reply *r)
{
	printf("{\"socket\": ");
	print_string(path);
	if (error) {
		printf(", \"error\": ");
		print_string(error);
	}
	for (unsigned i = 0; i < r->count; i++) {
		const char *value = r->words[i].value;

		printf(", ");
		print_string(r->words[i].name);
		printf(": ");
		if (*value && value[strspn(value, "0123456789")] == 0 && (*value != '0' || !value[1]))
			fputs(value, stdout);
		else
			print_string(value);
	}
	puts("}");
}

static void print_row(const char *path, const char *state, const struct reply *r)
{
	const char *slash = strrchr(path, '/');
	double seconds = strtod(value_of(r, "virtual_ns"), NULL) / 1e9;
	char name[64];
	size_t len = (size_t)snprintf(name, sizeof name, "%s", slash ? slash + 1 : path);

	for (size_t i = 0; i < len && i < sizeof name - 1; i++)
		if (name[i] < ' ' || name[i] > '~')
			name[i] = '?';
	printf("%-20s %-8s %-5s %6s %7s %15s %12.3f\n", name, state, value_of(r, "class"), value_of(r, "uid"),
	       value_of(r, "pid"), value_of(r, "instructions"), seconds);
}

/* The command for the machine at PATH. */
static enum status command(const char *path, const char *request, bool list, bool details)
{
	char text[LINE];
	struct reply r = { 0 };
	const char *error = NULL;
	enum status status = STATUS_OK;

	if (!ask(path, request, text)) {
		status = errno == EACCES ? STATUS_REFUSED : STATUS_NO_ANSWER;
		error = errno == ECONNREFUSED ? "no machine listens" : strerror(errno);
	} else if (strncmp(text, "ok", 2)) {
		error = !strncmp(text, "error ", 6) ? text + 6 : "the answer makes no sense";
		status = STATUS_REFUSED;
	} else {
		split(text, &r);
	}
	if (options.json)
		print_json(path, error, &r);
	else if (list)
		print_row(path, status == STATUS_NO_ANSWER ? "dead" : error ? "refused" : value_of(&r, "state"), &r);
	else if (error)
		complain("%s: %s", path, error);
	for (unsigned i = 0; i < r.count && details && !list && !options.json; i++)
		printf("%s %s\n", r.words[i].name, r.words[i].value);
	return list ? STATUS_OK : status;
}

/* ---- many ---- */

static int is_name(const struct dirent *entry) { return entry->d_name[0] != '.'; }

/* Every socket of the directory, in the order of their names; links are not followed. */
static enum status for_all(const char *directory, const char *request, bool list, bool details)
{
	enum status status = STATUS_OK, one;
	struct dirent **entries;
	int count = scandir(directory, &entries, is_name, alphasort);

	if (count < 0) {
		complain("%s: %s", directory, strerror(errno));
		return STATUS_USAGE;
	}
	if (list && !options.json)
		printf("%-20s %-8s %-5s %6s %7s %15s %12s\n", "NAME", "STATE", "CLASS", "UID", "PID", "INSTRUCTIONS",
		       "SECONDS");
	for (int i = 0; i < count; i++) {
		struct stat st;
		char *path;

		if (asprintf(&path, "%s/%s", directory, entries[i]->d_name) < 0)
			break;
		if (!lstat(path, &st) && S_ISSOCK(st.st_mode)) {
			one = command(path, request, list, details);
			status = one > status ? one : status;
		}
		free(path);
		free(entries[i]);
	}
	free(entries);
	return status;
}

static void help(void)
{
	printf("Usage: vcpuctl [OPTION]... COMMAND TARGET [ARGUMENT]\n"
	       "Control machines that run with vcpu run --control unix:PATH. TARGET is a socket, or a directory: all\n"
	       "sockets in it.\n\n"
	       "Commands:\n");
	for (size_t i = 0; i < COMMANDS; i++)
		printf("  %-9s %-13s %s\n", commands[i].name, commands[i].argument ? commands[i].argument : "",
		       commands[i].text);
	printf("\nlimit and force need class a.\n\n"
	       "Options:\n"
	       "      --json          print a JSON object for each machine\n"
	       "      --timeout=MS    wait so long for an answer [5000]\n"
	       "      --help          print this text\n"
	       "      --version       print the version\n\n"
	       "Exit status: 0 done; 1 a machine refused; 2 bad usage; 3 no answer.\n");
}

/* True: go on. False: the program ends with *STATUS. */
static bool parse_options(int argc, char **argv, enum status *status)
{
	enum { JSON = 256, TIMEOUT, HELP, VERSION };
	static const struct option known[] = {
		{ "json", no_argument, NULL, JSON }, { "timeout", required_argument, NULL, TIMEOUT },
		{ "help", no_argument, NULL, HELP }, { "version", no_argument, NULL, VERSION }, { 0 }
	};
	char *end;
	int c;

	*status = STATUS_USAGE;
	while ((c = getopt_long(argc, argv, "+", known, NULL)) != -1) {
		switch (c) {
		case JSON:
			options.json = true;
			break;
		case TIMEOUT:
			options.timeout_ms = strtol(optarg, &end, 10);
			if (*end || options.timeout_ms < 1 || options.timeout_ms > 600000) {
				complain("--timeout %s: not 1 to 600000 ms", optarg);
				return false;
			}
			break;
		case HELP:
		case VERSION:
			if (c == HELP)
				help();
			else
				puts("vcpuctl (libvcpu) " PACKAGE_VERSION);
			*status = STATUS_OK;
			return false;
		default:
			return false;
		}
	}
	return true;
}

static enum status control(int argc, char **argv)
{
	const struct command *c = commands;
	char request[LINE];
	enum status status;
	struct stat st;
	bool list;
	int len;

	if (!parse_options(argc, argv, &status))
		return status;
	argv += optind;
	argc -= optind;
	while (c < commands + COMMANDS && argc && strcmp(c->name, *argv))
		c++;
	if (!argc || c == commands + COMMANDS) {
		complain(argc ? "there is no command '%s' (vcpuctl --help lists the commands)" :
			 "a command is missing (vcpuctl --help lists the commands)", argc ? *argv : "");
		return STATUS_USAGE;
	}
	if (argc != (c->argument ? 3 : 2)) {
		complain("usage: vcpuctl %s TARGET%s%s", c->name, c->argument ? " " : "",
			 c->argument ? c->argument : "");
		return STATUS_USAGE;
	}
	list = c == commands;
	len = snprintf(request, sizeof request, "%s%s%s\n", list ? "status" : c->name, argc > 2 ? " " : "",
		       argc > 2 ? argv[2] : "");
	if (len >= (int)sizeof request || strcspn(request, "\n") + 1 != (size_t)len) {
		complain("%s: the argument is too long, or has several lines", c->name);
		return STATUS_USAGE;
	}
	if (stat(argv[1], &st)) {
		complain("%s: %s", argv[1], strerror(errno));
		return STATUS_USAGE;
	}
	if (S_ISDIR(st.st_mode))
		status = for_all(argv[1], request, list, !strcmp(c->name, "status"));
	else
		status = command(argv[1], request, list, !strcmp(c->name, "status"));
	if (fflush(stdout) || ferror(stdout))
		status = STATUS_USAGE;
	return (int)status;
}

int main(int argc, char **argv)
{
	enum status status;

	standard_open();
	status = control(argc, argv);
	if (status != STATUS_OK || standard_written())
		return (int)status;
	complain("cannot write standard output: %s", strerror(errno));
	return STATUS_USAGE;
}
