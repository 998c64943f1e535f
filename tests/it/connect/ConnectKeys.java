import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.util.ServiceLoader;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.json.JsonConverterConfig;
import org.apache.kafka.connect.runtime.SourceConnectorConfig;
import org.apache.kafka.connect.runtime.TopicCreationConfig;
import org.apache.kafka.connect.runtime.distributed.Crypto;
import org.apache.kafka.connect.runtime.distributed.DistributedConfig;
import org.apache.kafka.connect.runtime.standalone.StandaloneConfig;
import org.apache.kafka.connect.storage.StringConverterConfig;
import org.apache.kafka.connect.transforms.Transformation;
import org.apache.kafka.connect.transforms.predicates.Predicate;

/**
 * The keys that Kafka Connect's classes say they have. A line is `key` and a key of a configuration, `class` and a class of a
 * transform or predicate, or `setting`, such a class, and the name of a setting.
 */
public class ConnectKeys {
    public static void main(String[] args) throws Exception {
        keys("", SourceConnectorConfig.configDef());
        keys("topic.creation.default.", TopicCreationConfig.defaultGroupConfigDef());
        keys("topic.creation.group.", TopicCreationConfig.configDef("group", (short) 1, 1));
        keys("", ofWorker());
        keys("", ofStandaloneWorker());
        keys("value.converter.", JsonConverterConfig.configDef());
        keys("value.converter.", StringConverterConfig.configDef());
        for (Transformation<?> transform : ServiceLoader.load(Transformation.class)) {
            settings(transform.getClass(), transform.config());
        }
        for (Predicate<?> predicate : ServiceLoader.load(Predicate.class)) {
            settings(predicate.getClass(), predicate.config());
        }
    }

    /** The definition that a class keeps to itself. */
    private static ConfigDef ofWorker() throws Exception {
        Method config = DistributedConfig.class.getDeclaredMethod("config", Crypto.class);
        config.setAccessible(true);
        return (ConfigDef) config.invoke(null, Crypto.SYSTEM);
    }

    private static ConfigDef ofStandaloneWorker() throws Exception {
        Field config = StandaloneConfig.class.getDeclaredField("CONFIG");
        config.setAccessible(true);
        return (ConfigDef) config.get(null);
    }

    private static void keys(String prefix, ConfigDef definition) {
        for (ConfigDef.ConfigKey key : definition.configKeys().values()) {
            if (!key.internalConfig) {
                System.out.println("key\t" + (key.name.startsWith(prefix) ? key.name : prefix + key.name));
            }
        }
    }

    private static void settings(Class<?> of, ConfigDef definition) {
        System.out.println("class\t" + of.getName());
        definition.names().forEach(name -> System.out.println("setting\t" + of.getName() + "\t" + name));
    }
}
