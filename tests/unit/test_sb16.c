/* SPDX-License-Identifier: MIT */
/* Sound: the Sound Blaster 16 as Creative's programming guide lets a program find and use it, with the 8237; the PC
 * speaker; what comes out. */
#include "io/sound/sb16.h"
#include "io/sound/sound.h"
#include "device.h"

static struct space memory;
static struct ram *ram;
static struct dma *dma;
static struct sb16 *card;
static struct pit *pit;
static struct sound *sound;
static s16 heard[2 * 44100];
static unsigned count;

static void hear(void *owner, const void *data, size_t len)
{
	(void)owner;
	for (size_t i = 0; i < len / 2 && count < ARRAY_LEN(heard); i++)
		heard[count++] = ((const s16 *)data)[i];
}

/* n is the IRQ; device.h's wires do. */
static void begin(void)
{
	space_free(&memory);
	space_init(&memory);
	space_add_ram(&memory, "ram", 0, 1 << 20, ram, 0, false);
	dma = dma_new(&bus, &memory);
	card = sb16_new(&bus, &test_clock, dma, wire(0), NULL);
	pit = pit_new(&bus, &test_clock, wire(0));
	sound = sound_new(&test_clock, pit, card, hear, NULL);
}

static void end(void)
{
	sound_free(sound);
	sb16_free(card);
	pit_free(pit);
	dma_free(dma);
}

static void setup(void)
{
	fresh();
	ram = ram_new(1 << 20);
	begin();
	count = 0;
}

static void teardown(void)
{
	end();
	ram_free(ram);
}

static void dsp(u8 byte)
{
	while (in8(0x22c) & 0x80)
		pass(50);
	out8(0x22c, byte);
}

static u8 dsp_read(void)
{
	ck_assert_uint_eq(in8(0x22e) & 0x80, 0x80);
	return in8(0x22a);
}

static void mixer(u8 index, u8 value)
{
	out8(0x224, index);
	out8(0x225, value);
}

static void loud(void)
{
	for (u8 i = 0x30; i < 0x34; i++)
		mixer(i, 0xf8);
}

/* Channel N: from memory, single mode, LEN bytes (words) less one; repeating or not. */
static void program_dma(unsigned n, u32 address, u16 len, bool repeat)
{
	static const u16 page[8] = { 0x87, 0x83, 0x81, 0x82, 0x8f, 0x8b, 0x89, 0x8a };
	u16 base = n < 4 ? (u16)(2 * n) : (u16)(0xc0 + 4 * (n - 4)), step = n < 4 ? 1 : 2,
	    control = n < 4 ? 0x08 : 0xd0;
	u32 offset = n < 4 ? address : address >> 1;

	if (n >= 4)
		out8(0xd6, 0xc0); /* cascade */
	out8(0xd4, 0);
	out8(control + 2 * step, (u8)(4 | (n & 3)));
	out8(control + 3 * step, (u8)(0x48 | (repeat ? 0x10 : 0) | (n & 3)));
	out8(control + 4 * step, 0);
	out8(base, (u8)offset);
	out8(base, (u8)(offset >> 8));
	out8(base + step, (u8)len);
	out8(base + step, (u8)(len >> 8));
	out8(page[n], (u8)(address >> 16));
	out8(control + 2 * step, (u8)(n & 3));
}

START_TEST(found)
{
	out8(0x226, 1);
	pass(3000);
	out8(0x226, 0);
	pass(100000);
	ck_assert_uint_eq(dsp_read(), 0xaa);
	ck_assert_uint_eq(in8(0x22e) & 0x80, 0);
	dsp(0xe1);
	ck_assert_uint_eq(dsp_read(), 4);
	ck_assert_uint_eq(dsp_read(), 5);
	dsp(0xe0), dsp(0x5a);
	ck_assert_uint_eq(dsp_read(), 0xa5);
	dsp(0xe4), dsp(0x77), dsp(0xe8);
	ck_assert_uint_eq(dsp_read(), 0x77);
	out8(0x224, 0x80);
	ck_assert_uint_eq(in8(0x225), 0x02); /* IRQ 5 */
	out8(0x224, 0x81);
	ck_assert_uint_eq(in8(0x225), 0x22); /* DMA 1 and 5 */
	mixer(0x22, 0xa7);
	out8(0x224, 0x30);
	ck_assert_uint_eq(in8(0x225) & 0xf0, 0xa0);
	out8(0x224, 0x31);
	ck_assert_uint_eq(in8(0x225) & 0xf0, 0x70);
}
END_TEST

START_TEST(eight_bits)
{
	loud();
	for (unsigned i = 0; i < 1000; i++)
		ram->host[0x12340 + i] = (u8)(i < 500 ? 0xff : 0x00);
	program_dma(1, 0x12340, 999, false);
	dsp(0x40), dsp(0x9c);             /* 1000000 / (256 - 156) = 10000 Hz */
	dsp(0x14), dsp(0xe7), dsp(0x03);  /* 1000 bytes: 100 ms */
	pass(99000000);
	ck_assert(!wires[5].level);
	pass(2000000);
	ck_assert(wires[5].level);
	out8(0x224, 0x82);
	ck_assert_uint_eq(in8(0x225) & 3, 1);
	in8(0x22e);
	ck_assert(!wires[5].level);
	pass(20000000);
	ck_assert_uint_ge(count, 2 * 44100 / 10);
	ck_assert_int_eq(heard[2 * 44 * 25], 0x7f00);      /* at 25 ms */
	ck_assert_int_eq(heard[2 * 44 * 25 + 1], 0x7f00);
	ck_assert_int_eq(heard[2 * 44 * 75], -0x8000);     /* at 75 ms */
	ck_assert_int_eq(heard[2 * 44 * 110], 0);
}
END_TEST

START_TEST(sixteen_bits)
{
	loud();
	for (unsigned i = 0; i < 500; i++) {
		put16(ram->host + 0x20000 + 4 * i, 12345);
		put16(ram->host + 0x20000 + 4 * i + 2, (u16)-23456);
	}
	program_dma(5, 0x20000, 999, true);
	dsp(0x41), dsp(0x56), dsp(0x22);             /* 22050 Hz */
	dsp(0xb6), dsp(0x30), dsp(0xe7), dsp(0x03);  /* repeat; stereo, signed; 1000 words: 500 frames: 22.7 ms */
	pass(23000000);
	ck_assert(wires[5].level);
	out8(0x224, 0x82);
	ck_assert_uint_eq(in8(0x225) & 3, 2);
	in8(0x22f);
	ck_assert(!wires[5].level);
	pass(23000000);
	ck_assert(wires[5].level);
	in8(0x22f);
	ck_assert_int_eq(heard[800], 12345);
	ck_assert_int_eq(heard[801], -23456);
	dsp(0xd5); /* pause */
	pass(100000000);
	ck_assert(!wires[5].level);
	dsp(0xd6);
	dsp(0xd9); /* to the end of the block, and no further */
	pass(100000000);
	ck_assert_uint_eq(wires[5].rises, 3);
}
END_TEST

/* Counter 2 at 1193182 / 1193 = 1000 Hz: 2000 changes of level in a second. */
static void reset_dsp(void)
{
	out8(0x226, 1);
	out8(0x226, 0);
	ck_assert_uint_eq(dsp_read(), 0xaa);
}

/* Channel 1: LEN bytes from 30000h on; MODE 49h plays once, 59h again and again, 45h writes to memory. */
static void set_dma(u8 mode, unsigned len)
{
	out8(0x0a, 5);
	out8(0x0c, 0);
	out8(0x0b, mode);
	out8(0x02, 0), out8(0x02, 0);
	out8(0x83, 3);
	out8(0x03, (u8)(len - 1)), out8(0x03, (u8)((len - 1) >> 8));
	out8(0x0a, 1);
}

/* 80h and the ADPCM commands: samples that they last for 256 bytes, and one interrupt at their end, no earlier. A
 * reference byte is no sample. */
START_TEST(durations)
{
	static const struct { u8 command; unsigned samples; } once[] = { { 0x80, 256 }, { 0x14, 256 }, { 0x74, 512 },
		{ 0x75, 510 }, { 0x76, 768 },
		{ 0x77, 765 }, { 0x16, 1024 }, { 0x17, 1020 } };
	static const struct {
		u8 command;
		unsigned samples, later;
	} again[] = { { 0x7d, 510, 512 }, { 0x7f, 765, 768 }, { 0x1f, 1020, 1024 } };

	for (unsigned i = 0; i < ARRAY_LEN(once); i++) {
		unsigned before;

		reset_dsp();
		set_dma(0x49, 256);
		dsp(0x40), dsp(0x9c); /* 10000 a second */
		dsp(once[i].command), dsp(0xff), dsp(0);
		before = wires[5].rises;
		pass((u64)once[i].samples * 100000 - 20000);
		ck_assert_uint_eq(wires[5].rises, before);
		pass(40000);
		ck_assert_uint_eq(wires[5].rises, before + 1);
		in8(0x22e);
		pass(200000000);
		ck_assert_uint_eq(wires[5].rises, before + 1);
	}
	for (unsigned i = 0; i < ARRAY_LEN(again); i++) {
		unsigned before = wires[5].rises;

		reset_dsp();
		set_dma(0x59, 256);
		dsp(0x40), dsp(0x9c);
		dsp(0x48), dsp(0xff), dsp(0);
		dsp(again[i].command);
		pass((u64)again[i].samples * 100000 + 20000);
		ck_assert_uint_eq(wires[5].rises, before + 1);
		for (unsigned n = 2; n < 4; n++) {
			in8(0x22e);
			pass((u64)again[i].later * 100000);
			ck_assert_uint_eq(wires[5].rises, before + n);
		}
		in8(0x22e);
		dsp(0xda); /* the last block */
		pass((u64)again[i].later * 300000);
		ck_assert_uint_eq(wires[5].rises, before + 4);
		in8(0x22e);
	}
}
END_TEST

/* Steps of (magnitude + 1/2) 2^scale, by hand; behind the last one it is silent. */
START_TEST(adpcm)
{
	static const struct { u8 command, bytes[4]; unsigned samples; u8 levels[8]; } cases[] = {
		{ 0x75, { 0x80, 0x77, 0x7f, 0x08 }, 5, { 0x87, 0x96, 0xb4, 0x78, 0x7c, 0x7a } },
		{ 0x77, { 0x40, 0x6e, 0xff, 0xff }, 7, { 0x43, 0x4a, 0x48, 0x41, 0x33, 0x1f, 0x03, 0x00 } },
		{ 0x17, { 0x10, 0x5b, 0xc0 }, 7, { 0x11, 0x14, 0x12, 0x0f, 0x09, 0x0d, 0x0f, 0x10 } },
	};

	loud();
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		reset_dsp();
		memcpy(ram->host + 0x30000, cases[i].bytes, 4);
		set_dma(0x49, 4);
		dsp(0x40), dsp(0x9c);
		dsp(cases[i].command), dsp(3), dsp(0);
		pass(50000);
		for (unsigned n = 0; n < cases[i].samples; n++) {
			int left, right;

			pass(100000);
			sb16_samples(card, &left, &right);
			ck_assert_msg(left == (s16)((cases[i].levels[n] ^ 0x80) << 8) && right == left,
				"%02x: sample %u is %d", cases[i].command, n,
				(u8)(left >> 8) ^ 0x80);
		}
	}
}
END_TEST

/* Every command has its arguments, and none of them is taken for a command (D3h would switch the speaker off). */
START_TEST(lengths)
{
	static const u8 lens[] = { 0x04, 1, 0x05, 2, 0x08, 1, 0x0e, 2, 0x0f, 1, 0x10, 1, 0x14, 2, 0x16, 2, 0x17, 2,
		0x1c, 0, 0x1f, 0, 0x20, 0, 0x24, 2, 0x2c, 0,
		0x03, 0, 0x30, 0, 0x31, 0, 0x32, 0, 0x33, 0, 0x38, 1, 0x40, 1, 0x41, 2, 0x42, 2, 0x45, 0, 0x47, 0, 0x48,
		2, 0x74, 2, 0x75, 2, 0x76, 2, 0x77, 2, 0x7d, 0, 0x7f, 0, 0x80, 2,
		0x90, 0, 0x91, 0, 0x98, 0, 0x99, 0, 0xa0, 0, 0xa8, 0, 0xb0, 3, 0xb6, 3, 0xc6, 3, 0xcf, 3, 0xd0, 0, 0xd4,
		0, 0xd5, 0, 0xd6, 0, 0xd9, 0, 0xda, 0,
		0xe0, 1, 0xe1, 0, 0xe2, 1, 0xe3, 0, 0xe4, 1, 0xe8, 0, 0xf2, 0, 0xf3, 0, 0xf8, 0, 0xf9, 1, 0xfb, 0, 0xfc,
		0,
		0xfd, 0 };

	for (unsigned i = 0; i < sizeof lens; i += 2) {
		reset_dsp();
		dsp(0xd1);
		dsp(lens[i]);
		for (unsigned n = 0; n < lens[i + 1]; n++)
			dsp(0xd3);
		while (in8(0x22e) & 0x80)
			in8(0x22a);
		dsp(0xd8);
		ck_assert_msg(dsp_read() == 0xff, "command %02x", lens[i]);
		dsp(0xd3), dsp(0xd8);
		ck_assert_uint_eq(dsp_read(), 0);
	}
}
END_TEST

/* Pause, go on, leave auto-init: each has a command for eight bits, and one for sixteen, which leaves the other alone.
 * FBh and FCh tell what runs. */
START_TEST(controls)
{
	static const struct { u8 start, pause, go_on, leave, stay, status, repeats; } widths[] = {
		{ 0xc6, 0xd0, 0xd4, 0xda, 0x45, 0x01, 0x04 }, { 0xce, 0xd0, 0xd4, 0xda, 0x45, 0x02, 0x04 },
		{ 0xb6, 0xd5, 0xd6, 0xd9, 0x47, 0x04, 0x10 }, { 0xbe, 0xd5, 0xd6, 0xd9, 0x47, 0x08, 0x10 },
	};
	const u64 block = 256 * 100000;

	for (unsigned i = 0; i < ARRAY_LEN(widths); i++) {
		const unsigned other = (i + 2) % 4;
		unsigned rises;

		reset_dsp();
		dsp(0xfd);
		ck_assert_uint_eq(dsp_read(), 0); /* a reset forgets it */
		dsp(0xfb), dsp(0xfc);
		ck_assert_uint_eq(dsp_read() | dsp_read(), 0);
		program_dma(i < 2 ? 1 : 5, 0x30000, 255, true);
		if (i & 1)
			out8(i < 2 ? 0x0b : 0xd6, 0x55); /* to memory */
		dsp(0x41), dsp(10000 >> 8), dsp(10000 & 0xff);
		dsp(0xd1);
		dsp(widths[i].start), dsp(0), dsp(255), dsp(0);
		dsp(0xfb);
		ck_assert_uint_eq(dsp_read(), widths[i].status | 0x10);
		dsp(0xfc);
		ck_assert_uint_eq(dsp_read(), widths[i].repeats);
		rises = wires[5].rises;
		dsp(widths[other].pause);
		pass(block + 50000);
		ck_assert_uint_eq(wires[5].rises, rises + 1);
		in8(i < 2 ? 0x22e : 0x22f);
		dsp(widths[i].pause);
		dsp(widths[other].go_on);
		pass(3 * block);
		ck_assert_uint_eq(wires[5].rises, rises + 1);
		dsp(widths[i].go_on);
		dsp(widths[other].leave);
		for (unsigned n = 2; n < 4; n++) {
			pass(block + 50000);
			ck_assert_uint_eq(wires[5].rises, rises + n);
			in8(i < 2 ? 0x22e : 0x22f);
		}
		dsp(widths[i].leave), dsp(widths[i].stay);
		pass(block);
		ck_assert_uint_eq(wires[5].rises, rises + 4);
		in8(i < 2 ? 0x22e : 0x22f);
		dsp(widths[i].leave), dsp(widths[other].stay);
		pass(3 * block);
		ck_assert_uint_eq(wires[5].rises, rises + 5);
		in8(i < 2 ? 0x22e : 0x22f);
		dsp(0xfb);
		ck_assert_uint_eq(dsp_read(), 0x10);
	}
}
END_TEST

/* E2h: sums of the byte under a mask that turns; what a driver of Creative's expects after a reset. The DSP is busy
 * now and then, never for long. */
START_TEST(identified)
{
	static const u8 challenge[] = { 0x00, 0x00, 0x3c, 0xff, 0x55 }, sums[] = { 0x40, 0xe5, 0x3a, 0xdf, 0xa2 };
	unsigned busy = 0, rises = 0;
	bool was = false;

	for (unsigned round = 0; round < 2; round++) {
		reset_dsp();
		for (unsigned i = 0; i < sizeof sums; i++) {
			set_dma(0x45, 1);
			ram->host[0x30000] = 0xee;
			dsp(0xe2), dsp(challenge[i]);
			ck_assert_uint_eq(ram->host[0x30000], sums[i]);
		}
	}
	dsp(0xe4), dsp(0x5a), dsp(0xe8);
	ck_assert_uint_eq(dsp_read(), 0x5a);
	dsp(0xfd);
	ck_assert_uint_eq(dsp_read(), 0xe8);
	for (unsigned i = 0; i < 10000; i++) {
		bool is = in8(0x22c) & 0x80;

		busy += is;
		rises += is && !was;
		was = is;
		pass(10);
	}
	ck_assert_uint_ge(rises, 10);
	ck_assert_uint_lt(busy, 2000);
	/* MIDI until a reset. */
	dsp(0x35);
	dsp(0xd1), dsp(0xd8);
	ck_assert_uint_eq(in8(0x22e) & 0x80, 0);
	reset_dsp();
}
END_TEST

START_TEST(speaker)
{
	unsigned changes = 0;

	out8(0x43, 0xb6);
	out8(0x42, 1193 & 0xff);
	out8(0x42, 1193 >> 8);
	pass(100000000);
	for (unsigned i = 0; i < count; i++)
		ck_assert_int_eq(heard[i], 0);
	out8(0x61, 3);
	count = 0;
	pass(1000000000);
	for (unsigned i = 2; i < count; i += 2)
		changes += heard[i] != heard[i - 2];
	ck_assert_uint_ge(count, 2 * 43600);
	ck_assert_uint_ge(changes, 1970);
	ck_assert_uint_le(changes, 2010);
}
END_TEST

static void *make(void)
{
	static struct dma *fresh_dma;

	space_free(&memory);
	space_init(&memory);
	space_add_ram(&memory, "ram", 0, 1 << 20, ram, 0, false);
	if (fresh_dma)
		dma_free(fresh_dma);
	fresh_dma = dma_new(&bus, &memory);
	return sb16_new(&bus, &test_clock, fresh_dma, wire(0), NULL);
}
static struct part part_of(void *p) { return sb16_part(p); }
static void refresh(void *p) { sb16_refresh(p); }
static void destroy(void *p) { sb16_free(p); }

START_TEST(state)
{
	static const u64 ranges[][2] = { { 0x220, 16 }, { 0x00, 16 } };

	ram = ram_new(1 << 20);
	round_trips(make, destroy, part_of, refresh, ranges, 2, 2);
}
END_TEST

static unsigned parts(struct part *out)
{
	out[0] = dma_part(dma);
	out[1] = sb16_part(card);
	out[2] = pit_part(pit);
	out[3] = sound_part(sound);
	return 4;
}

static void refresh_all(void)
{
	sound_refresh(sound);
	pit_refresh(pit);
	sb16_refresh(card);
	dma_refresh(dma);
}

static void set_up_to_cut(void)
{
	setup();
	start_cutting((struct cut){ end, begin, parts, refresh_all });
}

static void add_tests(TCase *tc)
{
	tcase_add_test(tc, found);
	tcase_add_test(tc, eight_bits);
	tcase_add_test(tc, sixteen_bits);
	tcase_add_test(tc, adpcm);
	tcase_add_test(tc, identified);
	tcase_add_test(tc, controls);
	tcase_add_test(tc, speaker);
}

int main(void)
{
	Suite *suite = suite_create("sb16");
	TCase *t = tcase_create("sb16"), *bare = tcase_create("state");

	tcase_add_checked_fixture(t, setup, teardown);
	add_tests(t);
	tcase_add_test(t, durations); /* long, and the others are cut often enough */
	tcase_add_test(t, lengths);
	suite_add_tcase(suite, t);
	tcase_add_test(bare, state);
	suite_add_tcase(suite, bare);
	cut_everywhere(suite, set_up_to_cut, teardown, add_tests);
	return run_suite(suite);
}
