/* SPDX-License-Identifier: MIT */
/* A guest's messages to the server of a shared folder. Nothing outside of the folder may change, nothing in it without
 * "rw", and each message that has a head gets one answer that is well formed.
 *
 *   0 bit 0 "rw", 1 the session has been begun: fid 1 is the folder   1 messages: type (8 bits), length of the body (8), body; type 0: the body goes as it is */
#include "tests/fuzz/fuzz.h"
#include <ftw.h>
#include <sys/stat.h>
#include "frontends/common/share.h"

enum { TVERSION = 100, TATTACH = 104, RLERROR = 7, TAG = 0x1234, HEADER = 7 };

static char folder[] = "/tmp/vcpu-fuzz-9p-XXXXXX", inside[64];
static unsigned answers, asked;

/* The machine's end. */
int vcpu_input(vcpu *machine, enum vcpu_channel channel, const void *data, size_t len)
{
	const u8 *answer = data;

	(void)machine, (void)channel;
	if (len < HEADER || get32(answer) != len || get16(answer + 5) != TAG)
		fuzz_fail("an answer without a right head");
	if (answer[4] == RLERROR ? len != HEADER + 4 || !get32(answer + HEADER) : answer[4] != asked + 1)
		fuzz_fail("an answer of type %u to %u", answer[4], asked);
	answers++;
	return 0;
}

static int erase(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type;
	return ftw->level && remove(path) ? -1 : 0;
}

static int unlock(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)ftw;
	return (type == FTW_D || type == FTW_DNR) && chmod(path, 0700) ? -1 : 0;
}

static void empty(const char *path)
{
	nftw(path, unlock, 8, FTW_PHYS);
	nftw(path, erase, 8, FTW_PHYS | FTW_DEPTH);
}

static void make(const char *name, const char *contents)
{
	char path[96];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	file = fopen(path, "w");
	if (!file || fputs(contents, file) < 0 || fclose(file))
		fuzz_fail("%s: cannot be written", path);
}

static void fill(void)
{
	char path[96];

	empty(inside);
	make("in/file", "contents");
	snprintf(path, sizeof path, "%s/dir", inside);
	mkdir(path, 0700);
	make("in/dir/below", "below");
	snprintf(path, sizeof path, "%s/link", inside);
	if (symlink("../secret", path))
		fuzz_fail("%s: cannot be made", path);
	snprintf(path, sizeof path, "%s/up", inside);
	if (symlink("..", path))
		fuzz_fail("%s: cannot be made", path);
}

static void finish(void)
{
	empty(folder);
	rmdir(folder);
}

static void begin(void)
{
	if (!mkdtemp(folder))
		fuzz_fail("%s: cannot be made", folder);
	atexit(finish);
	snprintf(inside, sizeof inside, "%s/in", folder);
	mkdir(inside, 0700);
	make("secret", "secret");
	fill();
}

static u64 checksum;

static int add_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	u64 one = 0;

	(void)ftw;
	for (const char *p = path; *p; p++)
		one = one * 131 + (u8)*p;
	checksum += one * ((u64)type + 1) + (type == FTW_D ? 0 : (u64)st->st_size * 7 + (u64)st->st_mtim.tv_nsec) +
		    st->st_mode * 13;
	return 0;
}

/* Of what is there. */
static u64 tree(void)
{
	checksum = 0;
	nftw(folder, add_file, 8, FTW_PHYS);
	return checksum;
}

static void check_outside(void)
{
	char path[96], text[16] = "";
	unsigned n = 0;
	struct stat st;
	FILE *file;

	snprintf(path, sizeof path, "%s/secret", folder);
	file = fopen(path, "r");
	if (!file || !fgets(text, sizeof text, file) || strcmp(text, "secret"))
		fuzz_fail("the secret is another");
	n = fstat(fileno(file), &st) ? 0 : (unsigned)st.st_nlink;
	fclose(file);
	if (n != 1 || stat(folder, &st) || st.st_nlink != 3)
		fuzz_fail("there is something beside the folder");
}

static void ask(struct share *share, const u8 *message, size_t len)
{
	u8 *exact = exact_copy(message, len);
	unsigned before = answers;
	bool headed = len >= HEADER;

	asked = headed ? message[4] : 0;
	share_request(share, exact, len);
	share_deliver(share, (vcpu *)exact);
	if (answers != before + headed && (answers != before + 1 || !headed))
		fuzz_fail("%u answers to a message of type %u", answers - before, asked);
	free(exact);
}

static void send(struct share *share, u8 type, const void *body, size_t len)
{
	u8 message[HEADER + 256];

	put32(message, (u32)(HEADER + len));
	message[4] = type;
	put16(message + 5, TAG);
	memcpy(message + HEADER, body, len);
	ask(share, message, HEADER + len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	unsigned how = (unsigned)take(&in, 1);
	bool writes = how & 1;
	char spec[96], *error = NULL;
	struct share *share;
	u64 before = 0;

	if (!*inside)
		begin();
	if (!writes)
		before = tree();
	snprintf(spec, sizeof spec, "%s%s", inside, writes ? ",rw" : "");
	share = share_open(spec, &error);
	if (!share)
		fuzz_fail("%s", error);
	if (how & 2) {
		send(share, TVERSION, "\0\0\1\0\10\0" "9P2000.L", 14);
		send(share, TATTACH, "\1\0\0\0\377\377\377\377\0\0\0\0\0\0\0\0", 16);
	}
	while (in.left) {
		u8 body[256], type = (u8)take(&in, 1);
		size_t len = take_bytes(&in, body, take(&in, 1));

		if (type)
			send(share, type, body, len);
		else if (len < HEADER || get16(body + 5) == TAG)
			ask(share, body, len);
	}
	share_close(share);
	check_outside();
	if (writes)
		fill();
	else if (tree() != before)
		fuzz_fail("something was written without rw");
	return 0;
}
