/* SPDX-License-Identifier: MIT */
/* Give a target of the fuzzers (fuzz.h) inputs from files.
 *
 *     fuzz_NAME [FILE...]      [the files of corpus/NAME] */
#include "tests/fuzz/fuzz.h"
#include <dirent.h>
#include <sys/time.h>

static const struct itimerval minute = { .it_value.tv_sec = 60 };
static unsigned passed;

static void replay(const char *path)
{
	FILE *file = fopen(path, "rb");
	char *data = NULL;
	size_t len = 0;
	FILE *copy = open_memstream(&data, &len);
	u8 *exact;
	int c;

	if (!file || !copy)
		fuzz_fail("%s: cannot be read", path);
	while ((c = getc(file)) != EOF)
		putc(c, copy);
	fclose(file);
	fclose(copy);
	fprintf(stderr, "%s\n", path); /* first: the input may end the process */
	exact = exact_copy(data, len);
	setitimer(ITIMER_PROF, &minute, NULL);
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
	free(data);
	passed++;
}

static int visible(const struct dirent *e) { return *e->d_name != '.'; }

int main(int argc, char **argv)
{
	const char *source = getenv("srcdir"), *name = strrchr(argv[0], '_');
	char directory[256], path[600];
	struct dirent **files;
	int n;

	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	snprintf(directory, sizeof directory, "%s/tests/fuzz/corpus/%s", source ? source : ".",
		 name ? name + 1 : argv[0]);
	n = argc > 1 ? 0 : scandir(directory, &files, visible, alphasort);
	if (n < 0)
		fuzz_fail("%s: cannot be read", directory);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof path, "%s/%s", directory, files[i]->d_name);
		replay(path);
		free(files[i]);
	}
	if (argc == 1)
		free(files);
	fprintf(stderr, "%u passed, 0 failed\n", passed); /* standard output may be the target's */
	return !passed;
}
