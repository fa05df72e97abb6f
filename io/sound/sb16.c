/* SPDX-License-Identifier: MIT */
/* The Sound Blaster 16 (Creative, Sound Blaster Series Hardware Programming Guide): DSP and mixer. Limits: sb16.h. */
#include <stdlib.h>
#include "io/sound/sb16.h"

#define ANSWERS 64u

enum { MIXER_RESET = 0x00, MIXER_VOICE_PRO = 0x04, MIXER_STEREO_PRO = 0x0e, MIXER_MASTER_PRO = 0x22,
	MIXER_MASTER = 0x30, MIXER_VOICE = 0x32,
       MIXER_IRQ = 0x80, MIXER_DMA = 0x81, MIXER_PENDING = 0x82 };
enum { PENDING_8 = 1, PENDING_16 = 2 };
/* Of a transfer: whole samples; time only (80h); ADPCM of so many bits a sample, of which 3 are Creative's "2.6". */
enum { PCM = 0, SILENCE = 1, ADPCM_2 = 2, ADPCM_3 = 3, ADPCM_4 = 4, KINDS };
enum { BUSY_CYCLE_NS = 4096, BUSY_NS = 256, ID_START = 0xaa, ID_KEY = 0x96 };

struct sb16 {
	u8 mixer_index, mixer[256];
	bool reset;               /* port 226h bit 0 */
	u8 answers[ANSWERS];      /* what 22Ah gives, in a ring */
	u8 head, count;
	u8 last;
	u8 command, arguments[4], have; /* a command that waits for its arguments, and those that have come */
	bool uart;                /* 34h to 37h: what is written is MIDI, until a reset */
	u8 before;                /* the last command but one (FDh) */
	u8 test;                  /* E4h writes it, E8h reads it */
	u8 id, id_key;            /* E2h: what it answers by DMA, and the mask that comes next */
	bool speaker;
	u8 pending;               /* interrupts: PENDING_8, PENDING_16 */
	u32 rate;                 /* frames a second */
	u32 block;                /* units of a block, less 1: bytes, or words of 16-bit sound */
	/* The transfer. */
	bool running, paused, wide, stereo, is_signed, repeat, input, ending;
	u32 left;                 /* units of the block, beyond the next one */
	u8 kind;
	bool wants_reference;     /* ADPCM: the next byte is no code but a level */
	u8 level, scale;          /* where the decoder is: the sample, unsigned; how large steps are */
	u8 codes, code_bits;      /* the byte in hand, its first code above; those that are left in it */
	u64 origin, frames;       /* frame N is heard at origin + N / rate */
	u16 out[2];               /* two's complement: what is heard, left and right */
	struct event frame;
	struct {
		struct clock *clock;
		struct dma *dma;
		struct line irq;
		const struct log *log;
	} wire;
};

static const struct field sb16_fields[] = {
	FIELD(struct sb16, mixer_index, U8), FIELDS(struct sb16, mixer, U8), FIELD(struct sb16, reset, BOOL),
	FIELDS(struct sb16, answers, U8), FIELD_MAX(struct sb16, head, U8, ANSWERS - 1),
	FIELD_MAX(struct sb16, count, U8, ANSWERS),
	FIELD(struct sb16, last, U8), FIELD(struct sb16, command, U8), FIELDS(struct sb16, arguments, U8),
	FIELD_MAX(struct sb16, have, U8, 3),
	FIELD(struct sb16, uart, BOOL), FIELD(struct sb16, before, U8), FIELD(struct sb16, test, U8),
	FIELD(struct sb16, id, U8),
	FIELD(struct sb16, id_key, U8), FIELD(struct sb16, speaker, BOOL), FIELD_MAX(struct sb16, pending, U8, 3),
	FIELD(struct sb16, rate, U32), FIELD(struct sb16, block, U32), FIELD(struct sb16, running, BOOL),
	FIELD(struct sb16, paused, BOOL),
	FIELD(struct sb16, wide, BOOL), FIELD(struct sb16, stereo, BOOL), FIELD(struct sb16, is_signed, BOOL),
	FIELD(struct sb16, repeat, BOOL),
	FIELD(struct sb16, input, BOOL), FIELD(struct sb16, ending, BOOL), FIELD(struct sb16, left, U32),
	FIELD(struct sb16, origin, U64),
	FIELD_MAX(struct sb16, kind, U8, KINDS - 1), FIELD(struct sb16, wants_reference, BOOL),
	FIELD(struct sb16, level, U8),
	FIELD_MAX(struct sb16, scale, U8, 5), FIELD(struct sb16, codes, U8), FIELD_MAX(struct sb16, code_bits, U8, 8),
	FIELD(struct sb16, frames, U64), FIELDS(struct sb16, out, U16), FIELD(struct sb16, frame, EVENT),
	FIELD_END
};

/* ---- interrupts ---- */

/* Only the lines that are selected are driven: others may have other drivers. */
static void drive_level(struct sb16 *card, bool level)
{
	static const struct { u8 bit, irq; } irqs[] = { { 2, 5 }, { 4, 7 }, { 8, 10 } };

	for (unsigned i = 0; i < ARRAY_LEN(irqs); i++)
		if (card->wire.irq.set && (card->mixer[MIXER_IRQ] & irqs[i].bit))
			card->wire.irq.set(card->wire.irq.owner, irqs[i].irq, level);
}

static void sb16_drive(struct sb16 *card)
{
	drive_level(card, card->pending);
}

static void sb16_interrupt(struct sb16 *card, u8 which, bool level)
{
	card->pending = (u8)((card->pending & ~which) | (level ? which : 0));
	sb16_drive(card);
}

/* ---- the transfer ---- */

static unsigned channel(const struct sb16 *card, bool wide)
{
	u8 select = card->mixer[MIXER_DMA];

	if (wide && (select & 0xe0))
		return select & 0x20 ? 5 : select & 0x40 ? 6 : 7;
	return select & 0x02 ? 1 : select & 0x01 ? 0 : 3;
}

/* The next frame; where time has jumped, what it jumped over is not heard. */
static void sb16_arm(struct sb16 *card)
{
	u64 now = card->wire.clock->now, when = card->origin + clock_ns(card->frames + 1, card->rate);

	if (when <= now) {
		card->origin = now;
		card->frames = 0;
		when = clock_in(card->wire.clock, clock_ns(1, card->rate));
	}
	clock_arm(card->wire.clock, &card->frame, card->running && !card->paused ? when : CLOCK_NEVER);
}

/* From now on at this rate. */
static void restart(struct sb16 *card)
{
	card->origin = card->wire.clock->now;
	card->frames = 0;
	sb16_arm(card);
}

/* A sample of eight or sixteen bits, signed or not, as a signed one of sixteen. */
static u16 widen(const struct sb16 *card, const u8 *p)
{
	u16 value = card->wide ? get16(p) : (u16)(*p << 8);

	return card->is_signed ? value : value ^ 0x8000;
}

static void end_of_block(struct sb16 *card)
{
	if (card->repeat && !card->ending) {
		card->left = card->block;
	} else {
		card->running = card->ending = false;
		card->out[0] = card->out[1] = 0;
	}
	sb16_interrupt(card, card->wide ? PENDING_16 : PENDING_8, true);
}

static void units_done(struct sb16 *card, unsigned units)
{
	if (card->left < units)
		end_of_block(card);
	else
		card->left -= units;
}

/* One code: a sign above a magnitude. Steps are (magnitude + 1/2) * 2 ^ scale, cut to whole levels; the largest
 * magnitudes make the next ones larger, 0 smaller. The fifth scale of the "2.6-bit" kind is five quarters of the
 * fourth. */
static void decode(struct sb16 *card, unsigned code)
{
	static const u8 top_scale[KINDS] = { [ADPCM_2] = 5, [ADPCM_3] = 4, [ADPCM_4] = 3 },
			large[KINDS] = { [ADPCM_2] = 1, [ADPCM_3] = 3, [ADPCM_4] = 5 };
	unsigned sign = 1u << (card->kind - 1), magnitude = code & (sign - 1),
		 step = (2 * magnitude + 1) << card->scale >> 1;
	int level;

	if (card->kind == ADPCM_3 && card->scale == 4)
		step = 5 * (2 * magnitude + 1);
	level = card->level + (code & sign ? -(int)step : (int)step);
	card->level = (u8)(level < 0 ? 0 : level > 255 ? 255 : level);
	if (magnitude >= large[card->kind] && card->scale < top_scale[card->kind])
		card->scale++;
	else if (!magnitude && card->scale)
		card->scale--;
}

static void adpcm_frame(struct sb16 *card)
{
	unsigned bits = card->kind, code;
	bool tc;

	while (!card->code_bits && card->running) {
		if (dma_move(card->wire.dma, channel(card, false), &card->codes, 1, false, &tc) != 1)
			return;
		if (!card->wants_reference) {
			card->code_bits = 8;
			break;
		}
		card->wants_reference = false;
		card->level = card->codes;
		card->scale = 0;
		units_done(card, 1);
	}
	if (!card->running)
		return;
	code = card->codes >> (8 - bits);
	card->codes = (u8)(card->codes << bits);
	/* the third code of three has only two bits: the upper ones */
	card->code_bits = (u8)(card->code_bits > bits ? card->code_bits - bits : 0);
	decode(card, code);
	card->out[0] = card->out[1] = (u16)((card->level ^ 0x80) << 8);
	if (!card->code_bits)
		units_done(card, 1);
}

static void frame(void *owner, u64 late)
{
	struct sb16 *card = owner;
	unsigned unit = card->wide ? 2 : 1, units = card->stereo ? 2 : 1;
	u8 data[4] = { 0 };
	bool tc;

	(void)late;
	card->frames++;
	if (card->kind != PCM) {
		if (card->kind == SILENCE)
			units_done(card, 1);
		else
			adpcm_frame(card);
		sb16_arm(card);
		return;
	}
	if (card->input && !card->is_signed)
		memset(data, 0x80, sizeof data);
	if (card->left + 1 < units)
		units = 1;
	if (dma_move(card->wire.dma, channel(card, card->wide), data, unit * units, card->input, &tc) == unit * units) {
		if (!card->input) {
			card->out[0] = widen(card, data);
			card->out[1] = units == 2 ? widen(card, data + unit) : card->out[0];
		}
		units_done(card, units);
	}
	sb16_arm(card);
}

static void start(struct sb16 *card, bool wide, bool stereo, bool is_signed, bool repeat, bool input, u32 length)
{
	card->kind = PCM;
	card->wide = wide;
	card->stereo = stereo;
	card->is_signed = is_signed;
	card->repeat = repeat;
	card->input = input;
	card->block = card->left = length;
	card->running = true;
	card->paused = card->ending = false;
	restart(card);
}

/* ---- the DSP ---- */

static void sb16_answer(struct sb16 *card, u8 byte)
{
	if (card->count < ANSWERS)
		card->answers[(card->head + card->count++) % ANSWERS] = byte;
}

static u8 read_answer(struct sb16 *card)
{
	if (card->count) {
		card->last = card->answers[card->head];
		card->head = (card->head + 1) % ANSWERS;
		card->count--;
	}
	return card->last;
}

/* Bytes that follow a command; for those that are not modelled, too, lest they be taken for commands. 03h to 0Fh are
 * of the signal processor, which this card does not have; F9h reads the DSP's own memory. */
static unsigned arguments(u8 command)
{
	if (command >= 0xb0 && command <= 0xcf)
		return 3;
	switch (command) {
	case 0x04: case 0x08: case 0x0f: case 0x10: case 0x38: case 0x40: case 0xe0: case 0xe2: case 0xe4: case 0xf9:
		return 1;
	case 0x05: case 0x0e: case 0x14: case 0x16: case 0x17: case 0x24: case 0x41: case 0x42: case 0x48: case 0x74: case 0x75: case 0x76: case 0x77:
	case 0x80:
		return 2;
	default: return 0;
	}
}

static void set_rate(struct sb16 *card, u32 rate)
{
	card->rate = rate < 4000 ? 4000 : rate > 45454 ? 45454 : rate;
	if (card->running)
		restart(card);
}

/* 8-bit sound of the older cards: unsigned; stereo is the mixer's business, and halves the rate of time constants. */
static void start_old(struct sb16 *card, bool repeat, bool input, u32 length)
{
	start(card, false, card->mixer[MIXER_STEREO_PRO] & 2, false, repeat, input, length);
}

static void start_adpcm(struct sb16 *card, u8 kind, bool reference, bool repeat, u32 length)
{
	start(card, false, false, false, repeat, false, length);
	card->kind = kind;
	card->wants_reference = reference;
	card->code_bits = 0;
}

/* Commands that stop a transfer, or let it go on, are for one of eight bits or for one of sixteen. */
static void control(struct sb16 *card, u8 command)
{
	bool wide = command == 0xd5 || command == 0xd6 || command == 0xd9 || command == 0x47;

	if (!card->running || card->wide != wide)
		return;
	switch (command) {
	case 0xd0: case 0xd5: card->paused = true; break;
	case 0xd4: case 0xd6:
		card->paused = false;
		restart(card);
		break;
	case 0xd9: case 0xda: card->ending = true; break;
	case 0x45: case 0x47: card->ending = false; break;
	}
}

/* FBh: what DMA does:  0 8-bit output   1 8-bit input   2 16-bit output   3 16-bit input   4 the speaker is on */
static u8 status(const struct sb16 *card)
{
	unsigned transfer = card->running && card->kind != SILENCE ? 1u << (2 * card->wide + card->input) : 0;

	return (u8)(transfer | card->speaker << 4);
}

/* FCh: which repeats:  2 8-bit   4 16-bit */
static u8 auxiliary_status(const struct sb16 *card)
{
	return card->running && card->repeat ? card->wide ? 0x10 : 0x04 : 0;
}

/* The DSP's challenge: the answer goes to memory. */
static void identify_dma(struct sb16 *card, u8 byte)
{
	bool tc;

	card->id = (u8)(card->id + (byte ^ card->id_key));
	card->id_key = (u8)(card->id_key >> 2 | card->id_key << 6);
	dma_move(card->wire.dma, channel(card, false), &card->id, 1, true, &tc);
}

static void execute(struct sb16 *card, u8 command)
{
	static const char copyright[] = "COPYRIGHT (C) CREATIVE TECHNOLOGY LTD, 1992.";
	const u8 *a = card->arguments;
	u32 length = get16(a);

	if (command >= 0xb0 && command <= 0xcf) { /* bits 3 input, 2 repeat; then mode: 5 stereo, 4 signed */
		start(card, command < 0xc0, a[0] & 0x20, a[0] & 0x10, command & 4, command & 8, get16(a + 1));
		return;
	}
	switch (command) {
	case 0x10: card->out[0] = card->out[1] = (u16)((a[0] ^ 0x80) << 8); break;
	case 0x14: start_old(card, false, false, length); break;
	case 0x16: case 0x17: start_adpcm(card, ADPCM_2, command & 1, false, length); break;
	case 0x1f: start_adpcm(card, ADPCM_2, true, true, card->block); break;
	case 0x20: sb16_answer(card, 0x80); break; /* nothing is heard */
	case 0x1c: case 0x90: start_old(card, true, false, card->block); break;
	case 0x91: start_old(card, false, false, card->block); break;
	case 0x24: start_old(card, false, true, length); break;
	case 0x2c: case 0x98: start_old(card, true, true, card->block); break;
	case 0x99: start_old(card, false, true, card->block); break;
	case 0x34: case 0x35: case 0x36: case 0x37: card->uart = true; break;
	case 0x40: set_rate(card, 1000000 / (256u - a[0]) / (card->mixer[MIXER_STEREO_PRO] & 2 ? 2 : 1)); break;
	case 0x41: case 0x42: set_rate(card, (u32)a[0] << 8 | a[1]); break;
	case 0x48: card->block = length; break;
	case 0x74: case 0x75: start_adpcm(card, ADPCM_4, command & 1, false, length); break;
	case 0x76: case 0x77: start_adpcm(card, ADPCM_3, command & 1, false, length); break;
	case 0x7d: start_adpcm(card, ADPCM_4, true, true, card->block); break;
	case 0x7f: start_adpcm(card, ADPCM_3, true, true, card->block); break;
	case 0x80:
		start(card, false, false, false, false, false, length);
		card->kind = SILENCE;
		card->out[0] = card->out[1] = 0;
		break;
	case 0x45: case 0x47: case 0xd0: case 0xd4: case 0xd5: case 0xd6: case 0xd9: case 0xda: control(card, command);
		break;
	case 0xd1: card->speaker = true; break;
	case 0xd3: card->speaker = false; break;
	case 0xd8: sb16_answer(card, card->speaker ? 0xff : 0x00); break;
	case 0xe0: sb16_answer(card, (u8)~a[0]); break;
	case 0xe1:
		sb16_answer(card, 4);
		sb16_answer(card, 5);
		break;
	case 0xe2: identify_dma(card, a[0]); break;
	case 0xe3:
		for (unsigned i = 0; i < sizeof copyright; i++)
			sb16_answer(card, (u8)copyright[i]);
		break;
	case 0xe4: card->test = a[0]; break;
	case 0xe8: sb16_answer(card, card->test); break;
	case 0xf2: sb16_interrupt(card, PENDING_8, true); break;
	case 0xf3: sb16_interrupt(card, PENDING_16, true); break;
	case 0xf8: case 0xf9: sb16_answer(card, 0); break;
	case 0xfb: sb16_answer(card, status(card)); break;
	case 0xfc: sb16_answer(card, auxiliary_status(card)); break;
	case 0xfd: sb16_answer(card, card->before); break;
	case 0x03: case 0x08: case 0x0f: sb16_answer(card, 0xff); break; /* there is nobody */
	case 0x04: case 0x05: case 0x0e: break;
	case 0x30: case 0x31: case 0x32: case 0x33: case 0x38: break; /* MIDI: nobody is at the other end */
	case 0xa0: case 0xa8: break; /* recording in mono, in stereo, of the Sound Blaster Pro */
	default: log_line(card->wire.log, "sb16: unknown command %02xh", command); break;
	}
	card->before = command;
	sb16_arm(card);
}

static void write_dsp(struct sb16 *card, u8 byte)
{
	if (card->uart)
		return;
	if (!card->command) {
		card->command = byte;
		card->have = 0;
	} else {
		card->arguments[card->have++] = byte;
	}
	if (card->have >= arguments(card->command)) {
		u8 command = card->command;

		card->command = card->have = 0;
		execute(card, command);
	}
}

/* ---- the mixer ---- */

static void reset_mixer(struct sb16 *card)
{
	u8 irq = card->mixer[MIXER_IRQ], dma = card->mixer[MIXER_DMA];

	memset(card->mixer, 0, sizeof card->mixer);
	for (unsigned i = 0; i < 4; i++)
		card->mixer[MIXER_MASTER + i] = 0xc0; /* master and voice, left and right */
	card->mixer[MIXER_MASTER_PRO] = card->mixer[MIXER_VOICE_PRO] = 0xcc;
	card->mixer[MIXER_IRQ] = irq;
	card->mixer[MIXER_DMA] = dma;
}

static void write_mixer(struct sb16 *card, u8 value)
{
	u8 index = card->mixer_index;

	if (index == MIXER_RESET) {
		reset_mixer(card);
		return;
	}
	if (index == MIXER_PENDING)
		return;
	drive_level(card, false);
	card->mixer[index] = value;
	/* The older registers are the same knobs: four bits a side. */
	if (index == MIXER_MASTER_PRO || index == MIXER_VOICE_PRO) {
		u8 pair = index == MIXER_MASTER_PRO ? MIXER_MASTER : MIXER_VOICE;

		card->mixer[pair] = (value & 0xf0) | 0x08;
		card->mixer[pair + 1] = (u8)(value << 4) | 0x08;
	}
	sb16_drive(card);
}

/* Five bits, steps of 2 dB: 65536 * 10 ^ (-(31 - n) / 10), and nothing. */
static int scaled(const struct sb16 *card, unsigned side)
{
	static const u32 level[32] = { 0, 66, 83, 104, 131, 165, 207, 261, 328, 414, 521, 655, 825, 1039, 1308, 1646,
		2072, 2609, 3285, 4135, 5206, 6554,
		8250, 10387, 13076, 16462, 20724, 26090, 32846, 41350, 52057, 65536 };
	u64 gain =
		(u64)level[card->mixer[MIXER_MASTER + side] >> 3] * level[card->mixer[MIXER_VOICE + side] >> 3] >> 16;

	return (int)((s16)card->out[side] * (s64)gain / 65536);
}

void sb16_samples(const struct sb16 *card, int *left, int *right)
{
	*left = scaled(card, 0);
	*right = scaled(card, 1);
}

/* ---- ports ---- */

static void reset_dsp(struct sb16 *card)
{
	card->running = card->paused = card->ending = card->speaker = false;
	card->command = card->have = card->count = card->before = 0;
	card->uart = false;
	card->id = ID_START;
	card->id_key = ID_KEY;
	card->out[0] = card->out[1] = 0;
	card->rate = 22050;
	sb16_interrupt(card, PENDING_8 | PENDING_16, false);
	sb16_answer(card, 0xaa);
	sb16_arm(card);
}

static u64 sb16_read_port(void *owner, u64 offset, unsigned size)
{
	struct sb16 *card = owner;

	(void)size;
	switch (offset) {
	case 0x4: return card->mixer_index;
	case 0x5: return card->mixer_index == MIXER_PENDING ? card->pending : card->mixer[card->mixer_index];
	case 0xa: return read_answer(card);
	/* the DSP has work of its own now and then */
	case 0xc: return card->wire.clock->now % BUSY_CYCLE_NS < BUSY_NS ? 0xff : 0x7f;
	case 0xe:
		sb16_interrupt(card, PENDING_8, false);
		return card->count ? 0xff : 0x7f;
	case 0xf:
		sb16_interrupt(card, PENDING_16, false);
		return 0xff;
	default: return 0xff;
	}
}

static void sb16_write_port(void *owner, u64 offset, unsigned size, u64 value)
{
	struct sb16 *card = owner;

	(void)size;
	switch (offset) {
	case 0x4: card->mixer_index = (u8)value; break;
	case 0x5: write_mixer(card, (u8)value); break;
	case 0x6:
		if (card->reset && !(value & 1))
			reset_dsp(card);
		card->reset = value & 1;
		break;
	case 0xc: write_dsp(card, (u8)value); break;
	}
}

static const struct device_ops sb16_ops = { sb16_read_port, sb16_write_port, 1, 1 };

/* A rate that can be divided by, and no more arguments than there are. */
static void sb16_post_load(void *state)
{
	struct sb16 *card = state;

	if (card->rate < 4000 || card->rate > 45454)
		card->rate = 22050;
	card->block &= 0xffff;
	card->left &= 0xffff;
	if (card->kind == ADPCM_3 && card->scale > 4)
		card->scale = 4;
	if (card->kind == ADPCM_4 && card->scale > 3)
		card->scale = 3;
}

struct sb16 *sb16_new(struct space *ports, struct clock *clock, struct dma *dma, struct line irq, const struct log *log)
{
	struct sb16 *card = calloc(1, sizeof *card);

	if (!card)
		return NULL;
	card->wire.clock = clock;
	card->wire.dma = dma;
	card->wire.irq = irq;
	card->wire.log = log;
	card->rate = 22050;
	card->id = ID_START;
	card->id_key = ID_KEY;
	card->mixer[MIXER_IRQ] = 0x02;
	card->mixer[MIXER_DMA] = 0x22;
	reset_mixer(card);
	if (space_add_device(ports, "sb16", 0x220, 16, &sb16_ops, card) < 0) {
		free(card);
		return NULL;
	}
	clock_add(clock, &card->frame, "sb16", frame, card);
	return card;
}

void sb16_free(struct sb16 *card)
{
	free(card);
}

void sb16_refresh(struct sb16 *card)
{
	sb16_drive(card);
}

struct part sb16_part(struct sb16 *card)
{
	return (struct part){ .name = "sb16", .state = card, .fields = sb16_fields, .post_load = sb16_post_load };
}
