/* SPDX-License-Identifier: MIT */
/* Check writes the place of each assertion that holds to a file, for the report of a test that crashes: a system call
 * each, half of the time of a test with a million assertions. Linked with --wrap=_mark_point, this lets the first
 * thousand of a test through, then one of a thousand. */
void __real__mark_point(const char *file, int line);
void __wrap__mark_point(const char *file, int line);

void __wrap__mark_point(const char *file, int line)
{
	static unsigned long count;

	if (count < 1000 || count % 1000 == 0)
		__real__mark_point(file, line);
	count++;
}
