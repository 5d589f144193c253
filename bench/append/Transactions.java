import java.util.Arrays;
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

/** One record in a Kafka transaction of its own, then the next, for some seconds: the Java client's latency. Prints as bench_append does. */
public class Transactions {
    private static final int LATENCIES_MAX = 1 << 20;

    public static void main(String[] words) {
        String brokers = words[0], topic = words[1];
        int seconds = Integer.parseInt(words[2]), size = Integer.parseInt(words[3]);
        Properties settings = new Properties();
        settings.put("bootstrap.servers", brokers);
        settings.put("transactional.id", "bench-append-java");
        settings.put("linger.ms", "0");
        settings.put("key.serializer", "org.apache.kafka.common.serialization.ByteArraySerializer");
        settings.put("value.serializer", "org.apache.kafka.common.serialization.ByteArraySerializer");
        byte[] value = new byte[size];
        Arrays.fill(value, (byte) 'v');
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings)) {
            producer.initTransactions();
            run(producer, topic, value, seconds); // the compiler's time
            int[] latencies = run(producer, topic, value, seconds);
            Arrays.sort(latencies);
            System.out.printf("{\"records\":%d,\"p50_us\":%d,\"p99_us\":%d}%n", latencies.length, latencies[latencies.length / 2],
                latencies[(int) (latencies.length * 99L / 100)]);
        }
    }

    private static int[] run(KafkaProducer<byte[], byte[]> producer, String topic, byte[] value, int seconds) {
        int[] latencies = new int[LATENCIES_MAX];
        int count = 0;
        long end = System.nanoTime() + seconds * 1_000_000_000L;
        for (long began = System.nanoTime(); began < end && count < LATENCIES_MAX; began = System.nanoTime()) {
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, 0, null, value));
            producer.commitTransaction();
            latencies[count++] = (int) ((System.nanoTime() - began) / 1000);
        }
        return Arrays.copyOf(latencies, count);
    }
}
