/* SPDX-License-Identifier: MIT */
/* The keyboard controller (IBM PS/2 Hardware Interface Technical Reference). Limits: i8042.h. */
#include <stdlib.h>
#include "io/input/i8042.h"
#include "io/input/ps2.h"

enum {
	STATUS_OBF = 0x01, STATUS_SYS = 0x04, STATUS_COMMAND = 0x08, STATUS_NOT_LOCKED = 0x10, STATUS_AUX = 0x20,
	INPUT_NOT_LOCKED = 0x80, /* the only input pin that means something here */
	MODE_IRQ1 = 0x01, MODE_IRQ12 = 0x02, MODE_SYS = 0x04, MODE_KBD_OFF = 0x10, MODE_AUX_OFF = 0x20,
		MODE_TRANSLATE = 0x40,
	OUT_RUN = 0x01, OUT_A20 = 0x02, OUT_IRQ1 = 0x10, OUT_IRQ12 = 0x20,
};

#define BYTE_NS 500000u /* from one byte's being read to the next one's arrival: the plug's clock is 10 to 17 kHz */

struct i8042 {
	struct ps2_keyboard keyboard;
	struct ps2_mouse mouse;
	u8 mode;          /* the command byte, address 20h of its RAM */
	u8 ram[32];       /* the rest of its RAM */
	u8 command;       /* command that waits for a byte at port 60h, or 0 */
	bool last_was_command;
	u8 data;          /* output buffer */
	bool full, aux;   /* ... holds something; from the mouse */
	u8 answer;        /* controller's own next byte, when the buffer was full */
	bool answer_waits;
	bool release;     /* F0h was swallowed: the next code gets bit 7 */
	bool a20;
	struct event next;
	struct event repeat; /* of a key that is held down */
	struct {
		struct clock *clock;
		struct line irq1, irq12, a20, reset;
		const struct log *log;
	} wire;
};

static const struct field i8042_fields[] = {
	FIELDS(struct i8042, keyboard.answers.bytes, U8),
	FIELD_MAX(struct i8042, keyboard.answers.head, U8, PS2_ANSWERS - 1),
	FIELD_MAX(struct i8042, keyboard.answers.count, U8, PS2_ANSWERS),
	FIELDS(struct i8042, keyboard.keys, U8),
	FIELD_MAX(struct i8042, keyboard.head, U32, PS2_KEYS - 1),
	FIELD_MAX(struct i8042, keyboard.count, U32, PS2_KEYS),
	FIELD_MAX(struct i8042, keyboard.set, U8, 3),
	FIELD(struct i8042, keyboard.leds, U8),
	FIELD(struct i8042, keyboard.typematic, U8),
	FIELD(struct i8042, keyboard.command, U8),
	FIELD(struct i8042, keyboard.last, U8),
	FIELD(struct i8042, keyboard.scanning, BOOL),
	FIELD(struct i8042, keyboard.prefix, U8),
	FIELD_MAX(struct i8042, keyboard.held, U8, 0x7f),
	FIELD(struct i8042, keyboard.held_e0, BOOL),
	FIELDS(struct i8042, keyboard.types, U8),
	FIELDS(struct i8042, mouse.answers.bytes, U8),
	FIELD_MAX(struct i8042, mouse.answers.head, U8, PS2_ANSWERS - 1),
	FIELD_MAX(struct i8042, mouse.answers.count, U8, PS2_ANSWERS),
	FIELDS(struct i8042, mouse.packet, U8),
	FIELD_MAX(struct i8042, mouse.left, U8, 4),
	FIELD_MAX(struct i8042, mouse.id, U8, 4),
	FIELD_MAX(struct i8042, mouse.knock, U8, 3),
	FIELD(struct i8042, mouse.command, U8),
	FIELD_MAX(struct i8042, mouse.resolution, U8, 3),
	FIELD(struct i8042, mouse.rate, U8),
	FIELD(struct i8042, mouse.last, U8),
	FIELD(struct i8042, mouse.scaling, BOOL),
	FIELD(struct i8042, mouse.remote, BOOL),
	FIELD(struct i8042, mouse.wrap, BOOL),
	FIELD(struct i8042, mouse.reporting, BOOL),
	FIELD_MAX(struct i8042, mouse.buttons, U8, 0x1f),
	FIELD(struct i8042, mouse.moved, BOOL),
	FIELD(struct i8042, mouse.dx, U16),
	FIELD(struct i8042, mouse.dy, U16),
	FIELD(struct i8042, mouse.dz, U16),
	FIELD(struct i8042, mode, U8),
	FIELDS(struct i8042, ram, U8),
	FIELD(struct i8042, command, U8),
	FIELD(struct i8042, last_was_command, BOOL),
	FIELD(struct i8042, data, U8),
	FIELD(struct i8042, full, BOOL),
	FIELD(struct i8042, aux, BOOL),
	FIELD(struct i8042, answer, U8),
	FIELD(struct i8042, answer_waits, BOOL),
	FIELD(struct i8042, release, BOOL),
	FIELD(struct i8042, a20, BOOL),
	FIELD(struct i8042, next, EVENT),
	FIELD(struct i8042, repeat, EVENT),
	FIELD_END
};

static void i8042_drive(struct i8042 *k)
{
	line_set(&k->wire.irq1, k->full && !k->aux && (k->mode & MODE_IRQ1));
	line_set(&k->wire.irq12, k->full && k->aux && (k->mode & MODE_IRQ12));
}

static void set_a20(struct i8042 *k, bool level)
{
	k->a20 = level;
	line_set(&k->wire.a20, level);
}

static void pulse_reset(struct i8042 *k)
{
	line_set(&k->wire.reset, true);
	line_set(&k->wire.reset, false);
}

static void fill(struct i8042 *k, u8 byte, bool aux)
{
	k->data = byte;
	k->aux = aux;
	k->full = true;
	i8042_drive(k);
}

static bool keyboard_ready(const struct i8042 *k)
{
	return !(k->mode & MODE_KBD_OFF) && ps2_keyboard_pending(&k->keyboard);
}

static bool mouse_ready(const struct i8042 *k)
{
	return !(k->mode & MODE_AUX_OFF) && ps2_mouse_pending(&k->mouse);
}

/* If something wants into the empty buffer, it arrives after the time of a byte. */
static void i8042_arm(struct i8042 *k)
{
	bool go = !k->full && (k->answer_waits || keyboard_ready(k) || mouse_ready(k));

	if (go && k->next.when != CLOCK_NEVER)
		return;
	clock_arm(k->wire.clock, &k->next, go ? clock_in(k->wire.clock, BYTE_NS) : CLOCK_NEVER);
}

/* A byte from the keyboard, on its way through the translation. */
static void from_keyboard(struct i8042 *k, u8 byte)
{
	if (!(k->mode & MODE_TRANSLATE)) {
		k->release = false;
		fill(k, byte, false);
	} else if (byte == 0xf0) {
		k->release = true;
	} else {
		fill(k, ps2_translate(byte) | (k->release ? 0x80 : 0), false);
		k->release = false;
	}
}

static void next(void *owner, u64 late)
{
	struct i8042 *k = owner;

	(void)late;
	if (k->full) {
		/* nothing comes in before it is read */
	} else if (k->answer_waits) {
		k->answer_waits = false;
		fill(k, k->answer, false);
	} else if (keyboard_ready(k)) {
		from_keyboard(k, ps2_keyboard_take(&k->keyboard));
		if (!k->full && keyboard_ready(k)) /* F0h: its partner comes with it */
			from_keyboard(k, ps2_keyboard_take(&k->keyboard));
	} else if (mouse_ready(k)) {
		fill(k, ps2_mouse_take(&k->mouse), true);
	}
	i8042_arm(k);
}

static void arm_repeat(struct i8042 *k, u64 ns)
{
	clock_arm(k->wire.clock, &k->repeat,
		  ps2_keyboard_held(&k->keyboard) ? clock_in(k->wire.clock, ns) : CLOCK_NEVER);
}

static void repeat(void *owner, u64 late)
{
	struct i8042 *k = owner;

	(void)late;
	if (ps2_keyboard_held(&k->keyboard))
		ps2_keyboard_repeat(&k->keyboard);
	arm_repeat(k, ps2_keyboard_period(&k->keyboard));
	i8042_arm(k);
}

/* The controller itself answers. */
static void i8042_answer(struct i8042 *k, u8 byte)
{
	if (!k->full) {
		fill(k, byte, false);
		return;
	}
	k->answer = byte;
	k->answer_waits = true;
}

static u8 output_port(const struct i8042 *k)
{
	return (u8)(OUT_RUN | (k->a20 ? OUT_A20 : 0) | (k->full && !k->aux ? OUT_IRQ1 : 0) |
		    (k->full && k->aux ? OUT_IRQ12 : 0) | 0xc0);
}

static void write_output_port(struct i8042 *k, u8 value)
{
	set_a20(k, value & OUT_A20);
	if (!(value & OUT_RUN))
		pulse_reset(k);
}

static void write_mode(struct i8042 *k, u8 value)
{
	k->mode = value;
	i8042_drive(k);
}

/* Port 64h. */
static void write_command(struct i8042 *k, u8 byte)
{
	k->command = 0;
	k->last_was_command = true;
	switch (byte) {
	case 0x20: i8042_answer(k, k->mode); break;
	case 0x60: case 0xd1: case 0xd2: case 0xd3: case 0xd4: k->command = byte; break;
	case 0xa4: i8042_answer(k, 0xf1); break; /* no password, */
	case 0xa5: k->command = byte; break; /* nor room for one: it is read up to its 0 */
	case 0xa6: break;
	case 0xa7: write_mode(k, k->mode | MODE_AUX_OFF); break;
	case 0xa8: write_mode(k, k->mode & ~MODE_AUX_OFF); break;
	case 0xa9: i8042_answer(k, 0x00); break;
	case 0xaa:
		write_mode(k, k->mode | MODE_SYS);
		i8042_answer(k, 0x55);
		break;
	case 0xab: i8042_answer(k, 0x00); break;
	case 0xad: write_mode(k, k->mode | MODE_KBD_OFF); break;
	case 0xae: write_mode(k, k->mode & ~MODE_KBD_OFF); break;
	case 0xc0: i8042_answer(k, INPUT_NOT_LOCKED); break;
	case 0xc1: case 0xc2: k->command = byte; break; /* the input port polled: the status shows it */
	case 0xd0: i8042_answer(k, output_port(k)); break;
	case 0xdd: set_a20(k, false); break;
	case 0xdf: set_a20(k, true); break;
	case 0xe0: i8042_answer(k, 0x00); break; /* test inputs: both clocks low */
	default:
		if (byte > 0x20 && byte < 0x40) {
			i8042_answer(k, k->ram[byte & 31]);
		} else if (byte > 0x60 && byte < 0x80) {
			k->command = byte;
		} else if (byte >= 0xf0) { /* pulse output bits that are 0; only reset is wired so that it shows */
			if (!(byte & OUT_RUN))
				pulse_reset(k);
		} else {
			log_line(k->wire.log, "i8042: unknown command %02xh", byte);
		}
		break;
	}
	i8042_arm(k);
}

/* Port 60h: the argument of a command, or for the keyboard. */
static void write_data(struct i8042 *k, u8 byte)
{
	u8 command = k->command;

	k->command = 0;
	k->last_was_command = false;
	switch (command) {
	case 0: case 0xc1: case 0xc2:
		write_mode(k, k->mode & ~MODE_KBD_OFF); /* it must answer */
		ps2_keyboard_command(&k->keyboard, byte);
		break;
	case 0x60: write_mode(k, byte); break;
	case 0xa5: k->command = byte ? command : 0; break;
	case 0xd1: write_output_port(k, byte); break;
	case 0xd2: fill(k, byte, false); break;
	case 0xd3: fill(k, byte, true); break;
	case 0xd4:
		write_mode(k, k->mode & ~MODE_AUX_OFF);
		ps2_mouse_command(&k->mouse, byte);
		break;
	default:
		k->ram[command & 31] = byte;
		break;
	}
	i8042_arm(k);
}

static u64 read_60(void *owner, u64 offset, unsigned size)
{
	struct i8042 *k = owner;

	(void)offset, (void)size;
	k->full = false;
	i8042_drive(k);
	i8042_arm(k);
	return k->data;
}

static void write_60(void *owner, u64 offset, unsigned size, u64 value)
{
	(void)offset, (void)size;
	write_data(owner, (u8)value);
}

static u64 read_64(void *owner, u64 offset, unsigned size)
{
	struct i8042 *k = owner;
	u8 status;

	(void)offset, (void)size;
	clock_steady(k->wire.clock, CLOCK_NEVER);
	status = (k->full ? STATUS_OBF : 0) | (k->mode & MODE_SYS ? STATUS_SYS : 0) |
		(k->last_was_command ? STATUS_COMMAND : 0);
	switch (k->command) { /* the upper half is of the input port, until a byte is written */
	case 0xc1: return status | (INPUT_NOT_LOCKED & 0x0f) << 4;
	case 0xc2: return status | (INPUT_NOT_LOCKED & 0xf0);
	default: return status | STATUS_NOT_LOCKED | (k->full && k->aux ? STATUS_AUX : 0);
	}
}

static void write_64(void *owner, u64 offset, unsigned size, u64 value)
{
	(void)offset, (void)size;
	write_command(owner, (u8)value);
}

static const struct device_ops data_ops = { read_60, write_60, 1, 1 };
static const struct device_ops command_ops = { read_64, write_64, 1, 1 };

struct i8042 *i8042_new(struct space *ports, struct clock *clock, struct line irq1, struct line irq12, struct line a20,
	struct line reset,
		const struct log *log)
{
	struct i8042 *k = calloc(1, sizeof *k);

	if (!k)
		return NULL;
	k->wire.clock = clock;
	k->wire.irq1 = irq1;
	k->wire.irq12 = irq12;
	k->wire.a20 = a20;
	k->wire.reset = reset;
	k->wire.log = log;
	k->mode = MODE_IRQ1 | MODE_SYS | MODE_TRANSLATE; /* as firmware leaves it */
	k->a20 = true;
	ps2_keyboard_reset(&k->keyboard);
	ps2_mouse_reset(&k->mouse);
	if (space_add_device(ports, "i8042 data", 0x60, 1, &data_ops, k) < 0 ||
	    space_add_device(ports, "i8042 command", 0x64, 1, &command_ops, k) < 0) {
		free(k);
		return NULL;
	}
	clock_add(clock, &k->next, "i8042", next, k);
	clock_add(clock, &k->repeat, "i8042 repeat", repeat, k);
	return k;
}

void i8042_free(struct i8042 *i8042)
{
	free(i8042);
}

bool i8042_keyboard_input(struct i8042 *i8042, const void *scancodes, size_t len)
{
	bool taken = ps2_keyboard_keys(&i8042->keyboard, scancodes, len);

	if (taken)
		arm_repeat(i8042, ps2_keyboard_delay(&i8042->keyboard));
	i8042_arm(i8042);
	return taken;
}

void i8042_mouse_input(struct i8042 *i8042, int dx, int dy, int dz, u8 buttons)
{
	ps2_mouse_move(&i8042->mouse, dx, dy, dz, buttons);
	i8042_arm(i8042);
}

void i8042_refresh(struct i8042 *i8042)
{
	line_set(&i8042->wire.a20, i8042->a20);
	i8042_drive(i8042);
}

struct part i8042_part(struct i8042 *i8042)
{
	return (struct part){ .name = "i8042", .state = i8042, .fields = i8042_fields };
}
