/* SPDX-License-Identifier: MIT
 *
 * With GNU readline (HAVE_READLINE), which is under GPL-3.0-or-later, the program vcpu-dbg as a whole is under that
 * licence. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#if HAVE_READLINE
#include <readline/history.h>
#include <readline/readline.h>
#endif
#include "mem/base/compat/socket.h"
#include "prompt.h"

/* Datagrams between the two: a letter, and a text.
 *
 *   debugger  L prompt   read a line         prompt  l line    e  there is none
 *             C path     make a file                 o  with a descriptor, or e errno
 *             c name     the answer to ?             ? start i line  which is the I-th completion of the word at START?
 */
enum { LONGEST = 65536 };

static char *words;          /* text of all lines, with a newline before and after each */
static size_t words_len;
static int wire = -1;
static pid_t process;
static struct termios before;
static bool terminal;
static char buffer[LONGEST + 16];

/* ---- words ---- */

/* The file of a command `source FILE'; NULL: TEXT is another command. */
static const char *sourced(const char *text)
{
	static const char name[] = "source";
	size_t n;

	text += strspn(text, " \t");
	n = strcspn(text, " \t");
	return n >= 2 && n < sizeof name && !strncmp(text, name, n) && text[n] ? text + n + strspn(text + n, " \t")
									       : NULL;
}

void prompt_allow(const char *text)
{
	enum { DEPTH_MAX = 16 };
	static unsigned depth;
	const char *file = sourced(text);
	char *more = realloc(words, words_len + strlen(text) + 3);

	if (!more)
		return;
	words = more;
	words[words_len++] = '\n';
	for (; *text; text++)
		words[words_len++] = (char)(strchr(" \t\n;\"'", *text) ? '\n' : *text);
	words[words_len++] = '\n';
	words[words_len] = 0;
	if (file && depth < DEPTH_MAX) {
		depth++;
		prompt_allow_file(file);
		depth--;
	}
}

void prompt_allow_file(const char *path)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;

	while (file && getline(&line, &room, file) >= 0)
		prompt_allow(line);
	free(line);
	if (file)
		fclose(file);
}

static bool allowed(const char *path)
{
	size_t len = strlen(path);

	for (const char *p = words; len && p && (p = strstr(p, path)); p++)
		if (p[-1] == '\n' && p[len] == '\n')
			return true;
	return false;
}

/* ---- datagrams ---- */

static void say(char kind, const void *text, size_t len, int fd)
{
	union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr header; } control = { 0 };
	struct iovec data[2] = { { &kind, 1 }, { (void *)text, len < LONGEST ? len : LONGEST } };
	struct msghdr message = { .msg_iov = data, .msg_iovlen = 2 };

	if (fd >= 0) {
		control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof fd),
						   .cmsg_level = SOL_SOCKET,
						   .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof control.bytes;
	}
	while (sendmsg(wire, &message, MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

/* Receive a datagram. Returns its kind; its text is in `buffer', and a 0 follows. 0: the other end has gone. */
static char hear(int *fd)
{
	union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr header; } control = { 0 };
	struct iovec data = { buffer, sizeof buffer - 1 };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes
	};
	ssize_t n;

	while ((n = recvmsg(wire, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
		;
	buffer[n > 0 ? n : 0] = 0;
	if (n > 0 && fd && CMSG_FIRSTHDR(&message))
		memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof *fd);
	return n > 0 ? buffer[0] : 0;
}

/* ---- the prompt's process ---- */

#if HAVE_READLINE
/* The name of a file begins after a blank. TEXT begins later, after its last / or a similar character. */
static char *complete_file(const char *text, int state)
{
	int begin = rl_point, typed;
	char *path, *found;

	while (begin > 0 && !strchr(" \t", rl_line_buffer[begin - 1]))
		begin--;
	typed = rl_point - begin - (int)strlen(text);
	path = strndup(rl_line_buffer + begin, (size_t)(rl_point - begin));
	found = path ? rl_filename_completion_function(path, state) : NULL;
	free(path);
	if (found && typed > 0 && (size_t)typed <= strlen(found))
		memmove(found, found + typed, strlen(found + typed) + 1);
	return found;
}

static char *complete(const char *text, int state)
{
	size_t indent = strspn(rl_line_buffer, " \t");
	int start = rl_point - (int)strlen(text) - (int)indent;
	char question[1024];
	int n = snprintf(question, sizeof question, "%d %d %.*s", start < 0 ? 0 : start, state, rl_point > (int)indent ?
		rl_point - (int)indent : 0,
		rl_line_buffer + indent);
	static bool files;

	if (state && files)
		return complete_file(text, state);
	say('?', question, (size_t)n < sizeof question ? (size_t)n : sizeof question - 1, -1);
	files = hear(NULL) == 'c' && !strcmp(buffer + 1, PROMPT_FILE);
	if (files)
		return complete_file(text, state);
	return buffer[0] == 'c' && buffer[1] ? strdup(buffer + 1) : NULL;
}
#endif

/* ---- the history of what was typed, in a file ---- */

#if HAVE_READLINE
enum { HISTORY_LINES = 1000 };

/* The file: $VCPU_HISTORY, or ~/.vcpu_history. NULL: $VCPU_HISTORY is empty, so there is none. */
static const char *history_path(void)
{
	static char path[4096];
	const char *name = getenv("VCPU_HISTORY"), *home = getenv("HOME");

	if (name)
		return *name ? name : NULL;
	return home && (size_t)snprintf(path, sizeof path, "%s/.vcpu_history", home) < sizeof path ? path : NULL;
}

static void history_begin(void)
{
	const char *path = history_path();

	using_history();
	stifle_history(HISTORY_LINES);
	if (path && !read_history(path))
		history_truncate_file(path, HISTORY_LINES);
}

/* Write each line at once, as the process can end in many ways. Other users may not read the file. */
static void history_line(const char *line)
{
	const char *path = history_path();
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600) : -1;

	add_history(line);
	if (fd < 0)
		return;
	close(fd);
	append_history(1, path);
}
#endif

static char *read_line(const char *prompt)
{
	char *line = NULL;
	size_t room = 0;

#if HAVE_READLINE
	if (terminal) {
		if (!rl_completion_entry_function)
			history_begin();
		rl_completion_entry_function = complete;
		rl_basic_word_break_characters = COMPLETION_BREAKS;
		line = readline(prompt);
		if (line && *line)
			history_line(line);
		return line;
	}
#endif
	if (terminal)
		fputs(prompt, stdout), fflush(stdout);
	if (getline(&line, &room, stdin) < 0) {
		free(line);
		return NULL;
	}
	line[strcspn(line, "\n")] = 0;
	return line;
}

static void answer_line(void)
{
	char *line = read_line(buffer + 1);

	if (line)
		prompt_allow(line);
	say(line ? 'l' : 'e', line ? line : "", line ? strlen(line) : 0, -1);
	free(line);
}

static void answer_create(const char *path)
{
	int fd = -1, error = EACCES;

	if (allowed(path)) {
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0666);
		error = errno;
	}
	say(fd >= 0 ? 'o' : 'e', &error, fd >= 0 ? 0 : sizeof error, fd);
	if (fd >= 0)
		close(fd);
}

static void nothing(int n) { (void)n; }

__attribute__((noreturn)) static void work(void)
{
	char kind;

	signal(SIGINT, nothing); /* the file is the debugger's */
	signal(SIGQUIT, nothing);
	signal(SIGTERM, SIG_DFL); /* the end of the debugger comes here, too: readline restores the terminal */
	signal(SIGHUP, SIG_DFL);
#ifdef __linux__ /* elsewhere it ends when it reads the next line */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	prctl(PR_SET_NAME, "vcpu-dbg-prompt");
#endif
	while ((kind = hear(NULL)))
		if (kind == 'L')
			answer_line();
		else if (kind == 'C')
			answer_create(buffer + 1);
	_exit(0);
}

/* ---- the debugger's side ---- */

static const char *(*completes)(const char *line, unsigned start, unsigned i);

bool prompt_open(const char *(*complete_)(const char *line, unsigned start, unsigned i), bool silent)
{
	int ends[2];

#if HAVE_READLINE
	if (silent)
		rl_outstream = stderr;
#endif
	(void)silent;

	completes = complete_;
	terminal = isatty(STDIN_FILENO) && !tcgetattr(STDIN_FILENO, &before);
	if (socketpair(AF_UNIX, SOCKET_DATAGRAMS | SOCK_CLOEXEC, 0, ends))
		return false;
	fflush(NULL);
	process = fork();
	wire = ends[!process];
	close(ends[!!process]);
	if (!process)
		work();
	return process > 0;
}

static void answer_completion(void)
{
	unsigned start, i;
	int used = 0;
	const char *name = sscanf(buffer + 1, "%u %u%n", &start, &i, &used) == 2 && used
				   ? completes(buffer + 2 + used, start, i)
				   : NULL;

	say('c', name ? name : "", name ? strlen(name) : 0, -1);
}

char *prompt_line(const char *prompt)
{
	char kind;

	fflush(stdout);
	say('L', prompt, strlen(prompt), -1);
	while ((kind = hear(NULL)) == '?')
		answer_completion();
	return kind == 'l' ? strdup(buffer + 1) : NULL;
}

FILE *prompt_create(const char *path)
{
	int fd = -1, error = EACCES;

	say('C', path, strlen(path), -1);
	if (hear(&fd) == 'o' && fd >= 0)
		return fdopen(fd, "w");
	memcpy(&error, buffer + 1, sizeof error);
	errno = error;
	return NULL;
}

void prompt_close(void)
{
	close(wire);
	wire = -1;
	if (process > 0)
		waitpid(process, NULL, 0);
}

void prompt_restore(void)
{
	sigset_t one, mask;

	if (!terminal)
		return;
	sigemptyset(&one);
	sigaddset(&one, SIGTTOU);
	sigprocmask(SIG_BLOCK, &one, &mask);
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
	sigprocmask(SIG_SETMASK, &mask, NULL);
}
