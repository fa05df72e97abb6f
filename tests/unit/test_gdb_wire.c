/* SPDX-License-Identifier: MIT */
/* The stub's side of gdb's packets, without gdb: what is lost, cut, repeated or late. What must be answered is in the
 * GDB manual, appendix E.1 and E.7; how gdb repeats itself after two seconds of silence is what gdb 13 was seen to do
 * when the stub was stopped. */
#define _GNU_SOURCE
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "frontends/common/gdb_wire.h"

static int gdb; /* gdb's end */
static pid_t stub;

/* A packet, with its checksum. */
static const char *packet(const char *payload)
{
	static char texts[8][64];
	static unsigned n;
	char *text = texts[n++ % 8];
	unsigned char sum = 0;

	for (const char *p = payload; *p; p++)
		sum = (unsigned char)(sum + (unsigned char)*p);
	ck_assert_int_lt(snprintf(text, sizeof *texts, "$%s#%02x", payload, sum), sizeof *texts);
	return text;
}

/* Answers X by "is X". */
static void serve(int fd)
{
	struct gdb_wire *w = calloc(1, sizeof *w);
	char answer[64];

	w->in = w->out = fd;
	w->listener = -1;
	w->acks = true;
	while (gdb_wire_get(w) >= 0) {
		snprintf(answer, sizeof answer, "is %.40s", w->packet);
		if (gdb_wire_put(w, answer, strlen(answer)) && !strcmp(w->packet, "QStartNoAckMode"))
			gdb_wire_end_acks(w);
	}
	_exit(0);
}

static void setup(void)
{
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	gdb = ends[0];
	stub = fork();
	ck_assert_int_ge(stub, 0);
	if (!stub) {
		close(ends[0]);
		serve(ends[1]);
	}
	close(ends[1]);
}

static void teardown(void)
{
	int status;

	close(gdb);
	ck_assert_int_eq(waitpid(stub, &status, 0), stub);
	ck_assert_int_eq(status, 0);
}

static void say(const char *text)
{
	ck_assert_int_eq(write(gdb, text, strlen(text)), (ssize_t)strlen(text));
}

/* The stub sends TEXT, and nothing more for now. */
static void hear(const char *text)
{
	char got[512] = "";
	size_t n = 0, len = strlen(text);
	struct pollfd p = { .fd = gdb, .events = POLLIN };

	while (n < sizeof got - 1 && poll(&p, 1, n < len ? 10000 : 100) > 0) {
		ssize_t more = read(gdb, got + n, sizeof got - 1 - n);

		if (more <= 0)
			break;
		n += (size_t)more;
	}
	ck_assert_str_eq(got, text);
}

/* Several texts as one write, or as one expectation. */
#define ALL(...) all((const char *const[]){ __VA_ARGS__, NULL })
static const char *all(const char *const *texts)
{
	static char out[512];

	*out = 0;
	while (*texts)
		strncat(out, *texts++, sizeof out - strlen(out) - 1);
	return out;
}

static void no_acks(void)
{
	say(packet("QStartNoAckMode"));
	hear(ALL("+", packet("is QStartNoAckMode")));
	say("+");
}

START_TEST(sent_again)
{
	say(packet("a"));
	hear(ALL("+", packet("is a")));
	say("-");
	hear(packet("is a"));
	say("--");
	hear(ALL(packet("is a"), packet("is a")));
	say(ALL("+", packet("b")));
	hear(ALL("+", packet("is b")));
}
END_TEST

START_TEST(bad_checksum)
{
	static const char *const bad[] = { "$a#62", "$a#6x", "$a#zz", "$#01" };

	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		say(bad[i]);
		hear("-");
	}
	say(packet("a"));
	hear(ALL("+", packet("is a")));
}
END_TEST

START_TEST(in_pieces)
{
	for (const char *p = ALL("+", packet("abc"), "+", packet("d}\003e")); *p; p++) {
		say((const char[]){ *p, 0 });
		usleep(2000);
	}
	hear(ALL("+", packet("is abc"), "+", packet("is d}\003e")));
}
END_TEST

START_TEST(several_at_once)
{
	say(ALL("+", packet("a"), "+", packet("b"), packet("c"), "+"));
	hear(ALL("+", packet("is a"), "+", packet("is b"), "+", packet("is c")));
	say("+");
	no_acks();
	say(ALL(packet("a"), packet("a"), packet("b")));
	hear(ALL(packet("is a"), packet("is a"), packet("is b")));
}
END_TEST

/* A client that closes its side behind its last packet hears the answers. */
START_TEST(closed_behind)
{
	say(ALL(packet("a"), packet("b"), "$c"));
	ck_assert_int_eq(shutdown(gdb, SHUT_WR), 0);
	hear(ALL("+", packet("is a"), "+", packet("is b")));
}
END_TEST

/* gdb sends a packet again when it hears no acknowledgement. */
START_TEST(copies)
{
	say(ALL("+", packet("a"), packet("a"), packet("a")));
	hear(ALL("+++", packet("is a")));
	say(packet("a")); /* on its way when the answer came */
	hear("+");
	say(ALL("+", packet("b")));
	hear(ALL("+", packet("is b")));
	say(ALL("+", packet("b"))); /* acknowledged: gdb asks anew */
	hear(ALL("+", packet("is b")));
}
END_TEST

/* gdb sends a - when it hears no answer, and something else after the third. */
START_TEST(late_answers)
{
	say(ALL(packet("a"), "--"));
	hear(ALL("+", packet("is a")));
	say(ALL("+", packet("b"), "---+", packet("c")));
	hear(ALL("++", packet("is c")));
	say("+");
	no_acks();
	say(ALL(packet("a"), "--"));
	hear(packet("is a"));
	say(ALL(packet("b"), "---", packet("c")));
	hear(packet("is c"));
}
END_TEST

START_TEST(end_of_acknowledgements)
{
	/* gdb has given up on this one, and goes on with acknowledgements */
	say(ALL("+", packet("QStartNoAckMode"), "---+", packet("a")));
	hear(ALL("++", packet("is a")));
	say(ALL("+", packet("QStartNoAckMode"), packet("QStartNoAckMode")));
	hear(ALL("++", packet("is QStartNoAckMode")));
	say("-");
	hear(packet("is QStartNoAckMode"));
	say(ALL("+", packet("a")));
	hear(packet("is a"));
	say("-");
	hear("");
	say("$b#00");
	hear(packet("is b"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("gdb_wire");
	TCase *tc = tcase_create("gdb_wire");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, sent_again);
	tcase_add_test(tc, bad_checksum);
	tcase_add_test(tc, in_pieces);
	tcase_add_test(tc, several_at_once);
	tcase_add_test(tc, closed_behind);
	tcase_add_test(tc, copies);
	tcase_add_test(tc, late_answers);
	tcase_add_test(tc, end_of_acknowledgements);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
