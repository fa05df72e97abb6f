/* SPDX-License-Identifier: MIT */
/* Regular expressions (frontends/windows/pattern.c) against those of the host's C library. */
#include <check.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include "frontends/windows/pattern.h"
#include "tests/unit/random.h"

/* The same match of PATTERN in TEXT, or the same refusal. */
static void compare(const char *pattern, const char *text, bool extended, bool newline)
{
	int flags = (extended ? REG_EXTENDED : 0) | (newline ? REG_NEWLINE : 0);
	struct pattern ours;
	regex_t theirs;
	regmatch_t there;
	size_t begin = 0, end = 0;
	bool refused = regcomp(&theirs, pattern, flags), found;

	ck_assert_msg(!pattern_compile(&ours, pattern, extended, newline) == !refused, "'%s' %d", pattern, flags);
	if (refused)
		return;
	found = pattern_find(&ours, text, &begin, &end);
	if (regexec(&theirs, text, 1, &there, 0))
		ck_assert_msg(!found, "'%s' in '%s' %d: %zu..%zu", pattern, text, flags, begin, end);
	else
		ck_assert_msg(found && begin == (size_t)there.rm_so && end == (size_t)there.rm_eo,
			      "'%s' in '%s' %d: %d..%d, not %zu..%zu", pattern, text, flags, there.rm_so, there.rm_eo,
			      begin, end);
	pattern_free(&ours);
	regfree(&theirs);
}

START_TEST(chosen)
{
	static const char *const patterns[] = {
		"abc", "a.c", "^b", "b$", "a*", "ba*c", "[a-c]*", "[^a]", "[]a]", "[^]a]", "[a-]", "[[:alpha:]_]*", "a\\.c",
		"\\(ab\\)*c", "(ab)*c", "(a|b)+c", "a\\|bc", "a|bc", "a|ab", "(a|ab)(c|bcd)", "x*", "a{2}", "a{2,}", "a{0,2}b",
		"(ab){1,3}", "a\\{1,2\\}", "\\(a\\)\\{2\\}", "(", ")", "a)", "(a", "[a", "a\\", "*a", "^*", "+", "a{", "a{2",
		"a{3,2}", "[[:none:]]", "()", "(|a)", "(a*)*", "(a*)+b", "(^a|b)", "^^a", "a^b", "a$b", "\\(^a\\)", "\\(*a\\)",
		"a+?", "a{1}{2}", "login: $", "^/root # $", "lost updates: [1-9]", "\n", "b\nc", ".*", "a{256}", "[b-a]",
		"a|", "|a", "a||b", "a\\{", "\\{", "{", "a\\?b", "a\\+", "$", "^", "^$", "a|^b", "(a$|b)c*"
	};
	static const char *const texts[] = {
		"", "a", "b", "abc", "aabbcc", "xabcabcx", "a.c", "a\nb\nc", "ababab", "aaa", "(a)", "*a", "^a", "a{2",
		"login: ", "1\n/root # ", "lost updates: 65", "abcd", "a$b", "a^b", "]", "-", "_z9"
	};

	for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
		for (size_t j = 0; j < sizeof texts / sizeof *texts; j++)
			for (int flags = 0; flags < 4; flags++)
				compare(patterns[i], texts[j], flags & 1, flags & 2);
}
END_TEST

/* Of few letters, so that many match. Anchors at the ends alone: glibc finds $[^a] in "b\nb" without REG_NEWLINE. */
START_TEST(random_ones)
{
	static const char *const pieces[] = { "a", "b", "c", ".", "[ab]", "[^a]", "(", ")", "|", "*", "(a|b)", "(ab|a)", "b?",
					      "c+", "a{1,2}", "\n" };

	for (int i = 0; i < 200000; i++) {
		char pattern[64] = "", text[16] = "";
		bool newline = rnd() % 2;

		strcat(pattern, rnd() % 4 ? "" : "^");
		for (u64 n = rnd() % 7; n--;)
			strcat(pattern, pieces[rnd() % (sizeof pieces / sizeof *pieces)]);
		strcat(pattern, rnd() % 4 ? "" : "$");
		for (u64 n = rnd() % 8, k = 0; n--; k++)
			text[k] = "abc\n"[rnd() % 4];
		compare(pattern, text, true, newline);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pattern");
	TCase *t = tcase_create("pattern");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_test(t, chosen);
	tcase_add_test(t, random_ones);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
