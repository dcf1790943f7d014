// The `openai` package for Node: typed events over a socket, which it opens with TLS and never without.

import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { BYTES_PER_MS, GREETING, Microphone, OUTPUT, QUESTION, play } from '../stagecraft.mjs';

const WEATHER = {
  type: 'function',
  name: 'weather',
  description: 'How the weather is.',
  parameters: { type: 'object', properties: { city: { type: 'string' } } },
};

async function talk({ url, scene, speech, spoken, seen }) {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });
  const connection = await OpenAIRealtimeWS.create(client, { model: 'scripted' });
  const over = watch(connection, seen, scene, speech);
  connection.socket.on('open', () => {
    connection.send({
      type: 'session.update',
      session: {
        type: 'realtime',
        output_modalities: [spoken ? 'audio' : 'text'],
        tools: scene === 'tool' ? [WEATHER] : [],
        audio: { input: { transcription: { model: 'whisper-1' } } },
      },
    });
    if (!spoken) write(connection, scene === 'tool' ? QUESTION : GREETING);
  });
  await over;
  connection.close();
}

function write(connection, text) {
  const item = { type: 'message', role: 'user', content: [{ type: 'input_text', text }] };
  connection.send({ type: 'conversation.item.create', item });
  connection.send({ type: 'response.create' });
}

/** What happens until the answers of the scene are over. */
function watch(connection, seen, scene, speech) {
  const answers = scene === 'barge_in' ? 2 : 1;
  const bytesOf = {};
  let microphone, bargedIn = scene !== 'barge_in';
  const spoken = scene === 'voice' || scene === 'barge_in';
  return new Promise((resolve) => {
    connection.on('error', (error) => seen.errors.push(error.message));
    connection.on('session.updated', () => {
      if (!spoken || microphone) return;
      microphone = new Microphone(speech, (pcm) =>
        connection.send({ type: 'input_audio_buffer.append', audio: pcm.toString('base64') }),
      );
      microphone.speak();
    });
    connection.on('conversation.item.input_audio_transcription.completed', (event) => seen.heard.push(event.transcript));
    connection.on('response.output_audio.delta', (event) => {
      bytesOf[event.item_id] = (bytesOf[event.item_id] ?? 0) + Buffer.from(event.delta, 'base64').length;
      if (!bargedIn) microphone.speak();
      bargedIn = true;
    });
    connection.on('input_audio_buffer.speech_started', () => {
      for (const [item_id, bytes] of Object.entries(bytesOf)) {
        const audio_end_ms = Math.floor(bytes / BYTES_PER_MS);
        connection.send({ type: 'conversation.item.truncate', item_id, content_index: 0, audio_end_ms });
      }
    });
    connection.on('conversation.item.truncated', () => (seen.interrupted = true));
    connection.on('response.function_call_arguments.done', ({ name, call_id, arguments: given }) => {
      seen.called.push([name, JSON.parse(given)]);
      const item = { type: 'function_call_output', call_id, output: OUTPUT };
      connection.send({ type: 'conversation.item.create', item });
    });
    connection.on('response.done', ({ response }) => {
      for (const item of response.output) {
        if (item.type === 'function_call') {
          connection.send({ type: 'response.create' });
          continue;
        }
        seen.said.push(item.content[0].transcript ?? item.content[0].text);
        seen.sound_ms.push(Math.floor((bytesOf[item.id] ?? 0) / BYTES_PER_MS));
      }
      if (seen.said.length < answers) return;
      microphone?.close();
      resolve();
    });
  });
}

await play(talk);
