/* SPDX-License-Identifier: MIT */
/* The picture, its text and keys as an embedder has them: a guest that draws by formula, code page 437, a US keyboard.
 * */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/vcpu.h"
#include "mem/base/bits.h"

static u32 pixels[800 * 600];

static vcpu *machine(const void *kernel, size_t size)
{
	struct vcpu_config config = {
		.memory = 1 << 20, .display = "vga", .kernel = "guest", .kernel_data = kernel, .kernel_size = size
	};
	char *error = NULL;
	vcpu *v = vcpu_new(&config, &error);

	ck_assert_msg(v, "%s", error);
	return v;
}

START_TEST(picture)
{
	static u8 guest[512];
	FILE *file = fopen("picture_guest.bin", "rb");
	struct vcpu_screen s;
	u64 before;
	vcpu *v;

	if (!file) {
		puts("skipped: there is no picture_guest.bin here");
		return;
	}
	ck_assert_uint_eq(fread(guest, 1, sizeof guest, file), sizeof guest);
	fclose(file);
	v = machine(guest, sizeof guest);
	ck_assert_int_eq(vcpu_run(v, 2000000).reason, VCPU_STOP_LIMIT);
	before = vcpu_state_hash(v);
	ck_assert(vcpu_screen(v, &s, pixels, sizeof pixels / sizeof *pixels));
	ck_assert_uint_eq(s.width, 640);
	ck_assert_uint_eq(s.height, 400);
	ck_assert_uint_eq(s.columns, 0);
	ck_assert_uint_eq(vcpu_screen_text(v, NULL, 0), 0);
	for (unsigned y = 0; y < 400; y++)
		for (unsigned x = 0; x < 640; x++) {
			unsigned n = ((x / 2) ^ (y / 2)) & 255, red = n / 4, green = 63 - n / 4;

			ck_assert_uint_eq(pixels[640 * y + x], (red << 2 | red >> 4) << 16 | (green << 2 | green >> 4)
												     << 8);
		}
	ck_assert_uint_eq(vcpu_state_hash(v), before); /* looking changes nothing */
	/* The reset button: it draws again. */
	memset(pixels, 0, sizeof pixels);
	ck_assert_int_eq(vcpu_input(v, VCPU_RESET, NULL, 0), 0);
	ck_assert_int_eq(vcpu_run(v, 2000000).reason, VCPU_STOP_LIMIT);
	ck_assert(vcpu_screen(v, &s, pixels, sizeof pixels / sizeof *pixels));
	ck_assert_uint_eq(pixels[640 * 100 + 2 * 9], 0x38c700); /* 9 ^ 50 = 59: red 14, green 49 */
	/* Scan codes of "A;" and Esc (set 1): Shift and A, both released, the semicolon. */
	ck_assert_uint_eq(vcpu_type_text(v, "A;\033"), 3);
	ck_assert_int_eq(vcpu_run(v, 20000000).reason, VCPU_STOP_DEBUG_EXIT);
	vcpu_screen(v, &s, pixels, sizeof pixels / sizeof *pixels);
	for (unsigned i = 0; i < 7; i++)
		ck_assert_uint_eq(pixels[640 * 399 + 2 * i] >> 18, "\x2a\x1e\x9e\xaa\x27\xa7\x01"[i] >> 2 & 63);
	vcpu_free(v);
}
END_TEST

/* With the video BIOS of SeaBIOS: a VESA mode in banks, and mode 12h, whose sixteen colours are those of the EGA. */
START_TEST(bios_modes)
{
	static const u32 ega[16] = { 0x000000, 0x0000aa, 0x00aa00, 0x00aaaa, 0xaa0000, 0xaa00aa, 0xaa5500, 0xaaaaaa,
		0x555555, 0x5555ff, 0x55ff55, 0x55ffff, 0xff5555, 0xff55ff, 0xffff55, 0xffffff };
	struct vcpu_drive disk = { "modes_guest.bin,snapshot", VCPU_BUS_IDE, false };
	struct vcpu_config config = { .memory = 16 << 20, .drives = &disk, .drives_count = 1 };
	struct vcpu_screen s;
	struct vcpu_stop stop;
	vcpu *v, *twin;
	void *state;
	size_t len;
	char *error = NULL;

	v = vcpu_new(&config, &error);
	if (!v) {
		printf("skipped: %s\n", error);
		free(error);
		return;
	}
	vcpu_run(v, 60000000);
	ck_assert(vcpu_screen(v, &s, pixels, sizeof pixels / sizeof *pixels));
	ck_assert_uint_eq(s.width, 800);
	ck_assert_uint_eq(s.height, 600);
	for (unsigned at = 0; at < 800 * 600; at++) {
		unsigned n = (at ^ at >> 8 ^ at >> 16) & 255, red = n / 4, green = 63 - n / 4;

		ck_assert_uint_eq(pixels[at], (red << 2 | red >> 4) << 16 | (green << 2 | green >> 4) << 8);
	}
	/* A saved picture is the same picture, and goes on as one. */
	ck_assert(vcpu_save(v, &state, &len, NULL));
	twin = vcpu_new(&config, NULL);
	ck_assert(vcpu_load(twin, state, len, &error));
	ck_assert_uint_eq(vcpu_state_hash(twin), vcpu_state_hash(v));
	free(state);
	vcpu_type_text(v, "x");
	vcpu_type_text(twin, "x");
	vcpu_run(v, 60000000);
	vcpu_run(twin, 60000000);
	ck_assert_uint_eq(vcpu_state_hash(twin), vcpu_state_hash(v));
	vcpu_free(twin);
	ck_assert(vcpu_screen(v, &s, pixels, sizeof pixels / sizeof *pixels));
	ck_assert_uint_eq(s.width, 640);
	ck_assert_uint_eq(s.height, 480);
	for (unsigned x = 0; x < 640; x++) {
		ck_assert_uint_eq(pixels[640 * 100 + x], ega[x & 15]);
		ck_assert_uint_eq(pixels[640 * 101 + x], 0);
	}
	vcpu_type_text(v, "x");
	for (unsigned i = 0; i < 100; i++)
		if ((stop = vcpu_run(v, 1000000)).reason == VCPU_STOP_DEBUG_EXIT)
			break;
	ck_assert_int_eq(stop.reason, VCPU_STOP_DEBUG_EXIT);
	vcpu_free(v);
}
END_TEST

START_TEST(text)
{
	/* mov ax,b800; mov es,ax; xor di,di; mov si,text; mov cx,count; 1: lodsb; stosb; inc di; loop 1b; 2: hlt; jmp
	 * 2b */
	static const u8 code[512] = "\xb8\x00\xb8\x8e\xc0\x31\xff\xbe\x15\x7c\xb9\x08\x00\xac\xaa\x47\xe2\xfb\xf4\xeb\xfdH\x81\xb0 \xec\x01\x9b!";
	u8 sector[512];
	char out[4096];
	struct vcpu_screen s;
	vcpu *v;

	memcpy(sector, code, sizeof sector);
	put16(sector + 510, 0xaa55);
	v = machine(sector, sizeof sector);
	vcpu_run(v, 1000);
	ck_assert(vcpu_screen(v, &s, NULL, 0));
	ck_assert_uint_eq(s.columns, 80);
	ck_assert_uint_eq(s.rows, 25);
	ck_assert_uint_eq(vcpu_screen_text(v, out, sizeof out), strlen(out));
	ck_assert_str_eq(out, "Hü░ ∞☺¢!\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n");
	/* A buffer that is too small gets whole characters. */
	ck_assert_uint_gt(vcpu_screen_text(v, out, 3), 3);
	ck_assert_str_eq(out, "H");
	vcpu_free(v);
}
END_TEST

START_TEST(none)
{
	struct vcpu_config config = { .memory = 1 << 20 };
	vcpu *v = vcpu_new(&config, NULL);
	struct vcpu_screen s;
	char *error;

	ck_assert(!vcpu_screen(v, &s, pixels, 1));
	ck_assert_uint_eq(s.width, 0);
	ck_assert_uint_eq(vcpu_screen_text(v, NULL, 0), 0);
	vcpu_free(v);
	config.display = "mda";
	ck_assert(!vcpu_new(&config, &error));
	ck_assert_ptr_nonnull(strstr(error, "mda"));
	free(error);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("screen");
	TCase *t = tcase_create("screen");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, picture);
	tcase_add_test(t, bios_modes);
	tcase_add_test(t, text);
	tcase_add_test(t, none);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
