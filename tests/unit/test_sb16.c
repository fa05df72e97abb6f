/* Sound: the Sound Blaster 16 as Creative's programming guide lets a program find and use it, with the 8237; the PC speaker; what comes out. */
#include "io/sb16.h"
#include "io/sound.h"
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
	pit = pit_new(&bus, &test_clock, wire(0), NULL);
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
	ck_assert_uint_eq(in8(0x22c) & 0x80, 0);
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
	u16 base = n < 4 ? (u16)(2 * n) : (u16)(0xc0 + 4 * (n - 4)), step = n < 4 ? 1 : 2, control = n < 4 ? 0x08 : 0xd0;
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
	tcase_add_test(tc, speaker);
}

int main(void)
{
	Suite *suite = suite_create("sb16");
	TCase *t = tcase_create("sb16"), *bare = tcase_create("state");

	tcase_add_checked_fixture(t, setup, teardown);
	add_tests(t);
	suite_add_tcase(suite, t);
	tcase_add_test(bare, state);
	suite_add_tcase(suite, bare);
	cut_everywhere(suite, set_up_to_cut, teardown, add_tests);
	return run_suite(suite);
}
