/* Standard input, raw if it is a terminal, and the signals. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <stdlib.h>

#include "cli.h"

enum { WAIT_MAX = 1024 };

static struct {
	vcpu *machine;
	struct termios before;
	volatile sig_atomic_t raw;    /* `before' is what to go back to */
	volatile sig_atomic_t asked;  /* the signal that asks us to end */
	bool interactive;
	bool eof;
	bool escape;                  /* Ctrl-A has been typed */
} terminal = { .eof = true };

static const int polite[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
static const int deadly[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };

/* Safe in a signal handler: tcsetattr and sigaction are. */
static void restore(void)
{
	if (terminal.raw) {
		terminal.raw = 0;
		tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal.before);
	}
}

static void make_raw(void)
{
	struct termios t = terminal.before;

	/* Output processing stays: messages of our own end in a bare newline. */
	t.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	t.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	t.c_cflag = (t.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	terminal.raw = 1;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &t);
}

static void on_signal(int n, void (*handler)(int), int flags)
{
	struct sigaction a = { .sa_handler = handler, .sa_flags = flags };

	sigemptyset(&a.sa_mask);
	sigaction(n, &a, NULL);
}

static void handle_polite(int n)
{
	if (terminal.asked) { /* asked twice: do not wait for the machine */
		restore();
		on_signal(n, SIG_DFL, 0);
		raise(n);
		return;
	}
	terminal.asked = n;
	if (terminal.machine)
		vcpu_stop(terminal.machine);
}

static void handle_deadly(int n)
{
	restore();
	on_signal(n, SIG_DFL, 0);
	raise(n);
}

static void handle_suspend(int n)
{
	int e = errno;
	bool was = terminal.raw;
	sigset_t set;

	restore();
	on_signal(n, SIG_DFL, 0);
	sigemptyset(&set);
	sigaddset(&set, n);
	raise(n);
	sigprocmask(SIG_UNBLOCK, &set, NULL); /* here we sleep until SIGCONT */
	on_signal(n, handle_suspend, SA_RESTART);
	if (was)
		make_raw();
	errno = e;
}

void terminal_open(vcpu *machine, bool want_input)
{
	terminal.machine = machine;
	terminal.eof = !want_input;
	for (size_t i = 0; i < sizeof polite / sizeof *polite; i++)
		on_signal(polite[i], handle_polite, 0);
	on_signal(SIGPIPE, SIG_IGN, 0);
	if (!want_input || !isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &terminal.before))
		return;
	terminal.interactive = true;
	for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
		on_signal(deadly[i], handle_deadly, 0);
	on_signal(SIGTSTP, handle_suspend, SA_RESTART);
	atexit(terminal_close);
	make_raw();
}

void terminal_close(void)
{
	restore();
	terminal.machine = NULL;
}

void complain(const char *format, ...)
{
	va_list ap;

	terminal_close();
	fflush(stdout);
	fputs("vcpu: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
}

bool terminal_interactive(void)
{
	return terminal.interactive;
}

bool terminal_eof(void)
{
	return terminal.eof;
}

int terminal_signal(void)
{
	return terminal.asked;
}

static void help(void)
{
	static const char text[] =
		"\r\nCtrl-A X       quit: the machine is gone, as if the plug were pulled\r\n"
		"Ctrl-A N       the next --medium into its drive; after the last one the drive is empty\r\n"
		"Ctrl-A H       this text\r\n"
		"Ctrl-A Ctrl-A  a Ctrl-A for the guest\r\n";

	if (write(STDOUT_FILENO, text, sizeof text - 1) < 0)
		return; /* nobody to help */
}

/* Take the Ctrl-A sequences out of LEN bytes, in place. Returns the bytes left; *QUIT if Ctrl-A X was among them. */
static size_t escapes(unsigned char *p, size_t len, bool *quit)
{
	enum { CTRL_A = 1 };
	size_t out = 0;

	for (size_t i = 0; i < len; i++) {
		if (!terminal.escape) {
			if (p[i] == CTRL_A)
				terminal.escape = true;
			else
				p[out++] = p[i];
			continue;
		}
		terminal.escape = false;
		switch (p[i]) {
		case CTRL_A:
			p[out++] = CTRL_A;
			break;
		case 'x':
		case 'X':
			*quit = true;
			return out;
		case 'n':
		case 'N':
			vcpu_next_medium(terminal.machine);
			break;
		case 'h':
		case 'H':
		case '?':
			help();
			break;
		}
	}
	return out;
}

void terminal_wait(int64_t ns, struct pollfd *others, unsigned count)
{
	struct pollfd fds[WAIT_MAX];
	struct timespec t = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

	if (terminal.asked)
		ns = t.tv_sec = t.tv_nsec = 0;
	if (count > WAIT_MAX - 1)
		count = WAIT_MAX - 1;
	memcpy(fds + 1, others, count * sizeof *fds);
	fds[0] = (struct pollfd){ .fd = terminal.eof ? -1 : STDIN_FILENO, .events = POLLIN };
	if (ppoll(fds, count + 1, ns < 0 ? NULL : &t, NULL) < 0)
		count = 0;
	memcpy(others, fds + 1, count * sizeof *fds);
}

enum terminal_event terminal_read(int64_t ns, void *buffer, size_t size, size_t *len)
{
	struct pollfd fd = { .fd = terminal.eof ? -1 : STDIN_FILENO, .events = POLLIN };
	struct timespec t = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
	bool quit = false;
	ssize_t n;

	*len = 0;
	if (terminal.asked || (terminal.eof && ns == 0))
		return TERMINAL_NOTHING;
	if (ppoll(&fd, 1, ns < 0 ? NULL : &t, NULL) <= 0 || terminal.eof)
		return TERMINAL_NOTHING;
	n = read(STDIN_FILENO, buffer, size);
	if (n <= 0) {
		if (n == 0 || (errno != EINTR && errno != EAGAIN))
			terminal.eof = true;
		return TERMINAL_NOTHING;
	}
	*len = terminal.interactive ? escapes(buffer, (size_t)n, &quit) : (size_t)n;
	if (quit)
		return TERMINAL_QUIT;
	return *len ? TERMINAL_BYTES : TERMINAL_NOTHING;
}
